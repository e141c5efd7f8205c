package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"attune.dev/examples/go/attunev1"
)

// jobWatch follows a job's events, each once and in order, over as many streams as it takes.
type jobWatch struct {
	client   *client
	job      string
	sequence int64 // of the last event that was seen
}

// await reads until an event satisfies the condition, and returns it. A later call goes on after it.
func (w *jobWatch) await(ctx context.Context, what string, condition func(*attunev1.JobEvent) bool) (*attunev1.JobEvent, error) {
	for {
		event, err := retry(ctx, func() (*attunev1.JobEvent, error) { return w.follow(ctx, what, condition) })
		// A server that shuts down ends its streams with OK; the job goes on after it.
		if event != nil || !errors.Is(err, io.EOF) {
			return event, err
		}
	}
}

func (w *jobWatch) awaitState(ctx context.Context, state string) error {
	_, err := w.await(ctx, state, func(event *attunev1.JobEvent) bool { return event.GetStateChanged().GetTo() == state })
	return err
}

func (w *jobWatch) follow(ctx context.Context, what string, condition func(*attunev1.JobEvent) bool) (*attunev1.JobEvent, error) {
	// A stream that is not read to its end stays open until its context is cancelled.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.client.jobs.WatchFineTuningJob(ctx, &attunev1.WatchFineTuningJobRequest{Name: w.job, AfterSequence: w.sequence})
	if err != nil {
		return nil, err
	}
	lagged := false
	for {
		response, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		lagged = lagged || response.GetLagged() != nil
		if response.GetEvent() == nil {
			continue // a heartbeat, or what a waiting job waits for
		}
		var events []*attunev1.JobEvent
		if lagged {
			if events, err = w.missed(ctx, response.GetEvent().GetSequence()); err != nil {
				return nil, err
			}
			lagged = false
		}
		for _, event := range append(events, response.GetEvent()) {
			if event.GetSequence() != w.sequence+1 {
				return nil, fmt.Errorf("event %d came after event %d", event.GetSequence(), w.sequence)
			}
			w.sequence = event.GetSequence()
			if condition(event) {
				return event, nil
			}
			if change := event.GetStateChanged(); change.GetTerminal() {
				return nil, fmt.Errorf("%s became %s before %s", w.job, change.GetTo(), what)
			}
		}
	}
}

// missed lists what a reader that was too slow did not get: the events after the last one seen, up to the one before next.
func (w *jobWatch) missed(ctx context.Context, next int64) ([]*attunev1.JobEvent, error) {
	var events []*attunev1.JobEvent
	request := &attunev1.ListJobEventsRequest{Parent: w.job, AfterSequence: w.sequence}
	for {
		page, err := retry(ctx, func() (*attunev1.ListJobEventsResponse, error) { return w.client.jobs.ListJobEvents(ctx, request) })
		if err != nil {
			return nil, err
		}
		for _, event := range page.GetEvents() {
			if event.GetSequence() == next {
				return events, nil
			}
			events = append(events, event)
		}
		if page.GetNextPageToken() == "" {
			return events, nil
		}
		request.PageToken = page.GetNextPageToken()
	}
}
