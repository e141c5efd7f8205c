// The conformance scenario (docs/conformance.md): from a file to predictions, over cut streams, refusals and retries. run starts it.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"attune.dev/examples/go/attunev1"
)

type scenario struct {
	*client
	baseModel, datasetFile, badDatasetFile string

	goodUpload *attunev1.Upload
	dataset    *attunev1.Dataset
	job        *attunev1.FineTuningJob
	longJob    *attunev1.FineTuningJob
}

func main() {
	client, err := newClient(os.Getenv("ATTUNE_SERVER"), os.Getenv("ATTUNE_CA_FILE"), os.Getenv("ATTUNE_TOKEN"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "failed connect:", err)
		os.Exit(1)
	}
	defer client.conn.Close()
	s := &scenario{client: client, baseModel: os.Getenv("ATTUNE_BASE_MODEL"), datasetFile: os.Getenv("ATTUNE_DATASET_FILE"), badDatasetFile: os.Getenv("ATTUNE_BAD_DATASET_FILE")}
	steps := []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"upload", s.upload}, {"bad_row", s.badRow}, {"import", s.importDataset}, {"create", s.create}, {"watch", s.watch},
		{"pause_resume_cancel", s.pauseResumeCancel}, {"pages", s.pages}, {"download", s.download}, {"predict", s.predict},
	}
	for _, step := range steps {
		result, err := step.run(context.Background())
		if err != nil {
			fmt.Fprintf(os.Stderr, "failed %s: %s\n", step.name, describe(err))
			os.Exit(1)
		}
		fmt.Println("ok", step.name, result)
	}
}

func (s *scenario) upload(ctx context.Context) (string, error) {
	content, err := os.ReadFile(s.datasetFile)
	if err != nil {
		return "", err
	}
	upload, err := s.createUpload(ctx, s.datasetFile, content)
	if err != nil {
		return "", err
	}
	if upload, err = s.sendFirstPart(ctx, upload.GetName(), content[:len(content)/2]); err != nil {
		return "", err
	}
	if upload.GetCommittedBytes() >= int64(len(content)) {
		return "", errors.New("the upload was not cut")
	}
	if s.goodUpload, err = s.sendRest(ctx, upload.GetName(), content); err != nil {
		return "", err
	}
	if s.goodUpload.GetState() != attunev1.Upload_STATE_COMPLETE || s.goodUpload.GetSha256() != sha256Hex(content) {
		return "", fmt.Errorf("the upload is %s with SHA-256 %s", s.goodUpload.GetState(), s.goodUpload.GetSha256())
	}
	return s.goodUpload.GetName(), nil
}

func (s *scenario) badRow(ctx context.Context) (string, error) {
	content, err := os.ReadFile(s.badDatasetFile)
	if err != nil {
		return "", err
	}
	upload, err := s.createUpload(ctx, s.badDatasetFile, content)
	if err != nil {
		return "", err
	}
	if upload, err = s.sendRest(ctx, upload.GetName(), content); err != nil {
		return "", err
	}
	_, err = s.importUpload(ctx, upload)
	if err == nil {
		return "", errors.New("the import succeeded")
	}
	info, _ := detail[*errdetails.ErrorInfo](err)
	request, _ := detail[*errdetails.BadRequest](err)
	if status.Code(err) != codes.InvalidArgument || info.GetReason() != "BAD_ROWS" || info.GetDomain() != "attune.dev" || len(request.GetFieldViolations()) == 0 {
		return "", err
	}
	return request.GetFieldViolations()[0].GetField(), nil
}

func (s *scenario) importDataset(ctx context.Context) (string, error) {
	dataset, err := s.importUpload(ctx, s.goodUpload)
	if err != nil {
		return "", err
	}
	if dataset.GetState() != attunev1.Dataset_STATE_READY {
		return "", fmt.Errorf("%s is %s", dataset.GetName(), dataset.GetState())
	}
	s.dataset = dataset
	return fmt.Sprint(dataset.GetName(), " ", dataset.GetReport().GetRowsUsed()), nil
}

func (s *scenario) importUpload(ctx context.Context, upload *attunev1.Upload) (*attunev1.Dataset, error) {
	request := &attunev1.ImportDatasetRequest{
		Files: []*attunev1.ImportFile{{Upload: upload.GetName()}}, ValidationFraction: proto.Float64(0.1), TestFraction: proto.Float64(0.1), RequestId: newRequestID(),
	}
	return retry(ctx, func() (*attunev1.Dataset, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := s.datasets.ImportDataset(ctx, request)
		if err != nil {
			return nil, err
		}
		// Messages before the one with the dataset say how far the import is.
		for {
			response, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil, status.Error(codes.Unavailable, "the stream ended before the import did")
			}
			if err != nil || response.GetDataset() != nil {
				return response.GetDataset(), err
			}
		}
	})
}

func (s *scenario) create(ctx context.Context) (string, error) {
	request := s.jobRequest(3)
	var err error
	if s.job, err = s.createJob(ctx, request); err != nil {
		return "", err
	}
	again, err := s.createJob(ctx, request)
	if err != nil {
		return "", err
	}
	if again.GetName() != s.job.GetName() {
		return "", fmt.Errorf("one request id made %s and %s", s.job.GetName(), again.GetName())
	}
	return s.job.GetName(), nil
}

func (s *scenario) jobRequest(epochs int32) *attunev1.CreateFineTuningJobRequest {
	hyperparameters := &attunev1.Hyperparameters{NEpochs: proto.Int32(epochs), BatchSize: proto.Int32(8), LearningRate: proto.Float64(1e-3)}
	spec := &attunev1.FineTuningSpec{BaseModel: s.baseModel, Dataset: s.dataset.GetName(), Hyperparameters: hyperparameters}
	return &attunev1.CreateFineTuningJobRequest{Spec: spec, RequestId: newRequestID()}
}

func (s *scenario) createJob(ctx context.Context, request *attunev1.CreateFineTuningJobRequest) (*attunev1.FineTuningJob, error) {
	return retry(ctx, func() (*attunev1.FineTuningJob, error) { return s.jobs.CreateFineTuningJob(ctx, request) })
}

func isTerminal(event *attunev1.JobEvent) bool { return event.GetStateChanged().GetTerminal() }

func (s *scenario) watch(ctx context.Context) (string, error) {
	watch := &jobWatch{client: s.client, job: s.job.GetName()}
	if _, err := watch.await(ctx, "its third event", func(event *attunev1.JobEvent) bool { return event.GetSequence() == 3 }); err != nil {
		return "", err
	}
	last, err := watch.await(ctx, "its end", isTerminal)
	if err != nil {
		return "", err
	}
	job, err := retry(ctx, func() (*attunev1.FineTuningJob, error) {
		return s.jobs.GetFineTuningJob(ctx, &attunev1.GetFineTuningJobRequest{Name: s.job.GetName()})
	})
	if err != nil {
		return "", err
	}
	if last.GetStateChanged().GetTo() != "SUCCEEDED" || job.GetState() != attunev1.FineTuningJob_STATE_SUCCEEDED {
		return "", fmt.Errorf("the job is %s: %s", job.GetState(), last.GetStateChanged().GetReason())
	}
	return fmt.Sprint(job.GetName(), " ", watch.sequence), nil
}

func (s *scenario) pauseResumeCancel(ctx context.Context) (string, error) {
	var err error
	if s.longJob, err = s.createJob(ctx, s.jobRequest(200)); err != nil {
		return "", err
	}
	name := s.longJob.GetName()
	watch := &jobWatch{client: s.client, job: name}
	type call = func() (*attunev1.FineTuningJob, error)
	for _, change := range []struct {
		state string // when the job is in it, the call is made
		call  call
	}{
		{"RUNNING", func() (*attunev1.FineTuningJob, error) {
			return s.jobs.PauseFineTuningJob(ctx, &attunev1.PauseFineTuningJobRequest{Name: name})
		}},
		{"PAUSED", func() (*attunev1.FineTuningJob, error) {
			return s.jobs.ResumeFineTuningJob(ctx, &attunev1.ResumeFineTuningJobRequest{Name: name})
		}},
		{"RUNNING", func() (*attunev1.FineTuningJob, error) {
			return s.jobs.CancelFineTuningJob(ctx, &attunev1.CancelFineTuningJobRequest{Name: name})
		}},
	} {
		if err := watch.awaitState(ctx, change.state); err != nil {
			return "", err
		}
		if _, err := retry(ctx, change.call); err != nil {
			return "", err
		}
	}
	last, err := watch.await(ctx, "its end", isTerminal)
	if err != nil {
		return "", err
	}
	if last.GetStateChanged().GetTo() != "CANCELLED" {
		return "", fmt.Errorf("the job became %s", last.GetStateChanged().GetTo())
	}
	return name, nil
}

func (s *scenario) pages(ctx context.Context) (string, error) {
	listed := map[string]int{}
	request := &attunev1.ListFineTuningJobsRequest{PageSize: 1}
	for {
		page, err := retry(ctx, func() (*attunev1.ListFineTuningJobsResponse, error) { return s.jobs.ListFineTuningJobs(ctx, request) })
		if err != nil {
			return "", err
		}
		for _, job := range page.GetFineTuningJobs() {
			listed[job.GetName()]++
		}
		if page.GetNextPageToken() == "" {
			break
		}
		request.PageToken = page.GetNextPageToken()
	}
	if listed[s.job.GetName()] != 1 || listed[s.longJob.GetName()] != 1 {
		return "", fmt.Errorf("the pages list %v", listed)
	}
	return strconv.Itoa(len(listed)), nil
}

func (s *scenario) download(ctx context.Context) (string, error) {
	request := &attunev1.GetCheckpointRequest{Name: s.job.GetName() + "/checkpoints/best"}
	checkpoint, err := retry(ctx, func() (*attunev1.Checkpoint, error) { return s.checkpoints.GetCheckpoint(ctx, request) })
	if err != nil {
		return "", err
	}
	for _, file := range checkpoint.GetFiles() {
		if file.GetPath() != "model.safetensors" {
			continue
		}
		var content bytes.Buffer
		// By the name with the step: "best" may come to mean another checkpoint between the two calls.
		for _, pieces := range []int{1, allPieces} {
			if err := s.receive(ctx, checkpoint.GetName(), file, &content, pieces); err != nil {
				return "", err
			}
		}
		digest := sha256Hex(content.Bytes())
		if digest != file.GetSha256() {
			return "", fmt.Errorf("%d bytes with SHA-256 %s came, the checkpoint lists %d with %s", content.Len(), digest, file.GetSizeBytes(), file.GetSha256())
		}
		return digest, nil
	}
	return "", fmt.Errorf("%s has no model.safetensors", checkpoint.GetName())
}

func (s *scenario) predict(ctx context.Context) (string, error) {
	inputs := []*attunev1.TextInput{{Text: "the film was great and the food was nice"}, {Text: "the book was awful and we hate it"}}
	response, err := retry(ctx, func() (*attunev1.PredictResponse, error) {
		return s.predictions.Predict(ctx, &attunev1.PredictRequest{Checkpoint: s.job.GetName(), Inputs: inputs})
	})
	if err != nil {
		return "", err
	}
	predictions := response.GetPredictions()
	if len(predictions) != len(inputs) {
		return "", fmt.Errorf("%d predictions for %d texts", len(predictions), len(inputs))
	}
	return predictions[0].GetLabels()[0] + " " + predictions[1].GetLabels()[0], nil
}

func newRequestID() string {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		panic(err) // the system has no randomness
	}
	return hex.EncodeToString(id)
}
