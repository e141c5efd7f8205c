package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"attune.dev/examples/go/attunev1"
)

const (
	callTimeout  = 2 * time.Minute
	maxRetries   = 5
	firstBackoff = 200 * time.Millisecond
)

// client holds the stubs of one connection. Safe for concurrent use.
type client struct {
	conn        *grpc.ClientConn
	uploads     attunev1.UploadServiceClient
	datasets    attunev1.DatasetServiceClient
	jobs        attunev1.FineTuningJobServiceClient
	checkpoints attunev1.CheckpointServiceClient
	predictions attunev1.PredictionServiceClient
}

// newClient connects at the first call: a wrong address shows up there, as UNAVAILABLE. Without caFile the connection is in plain text, and then takes no token.
func newClient(address, caFile, token string) (*client, error) {
	transport := insecure.NewCredentials()
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", caFile)
		}
		transport = credentials.NewTLS(&tls.Config{RootCAs: roots})
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport), grpc.WithUnaryInterceptor(withTimeout)}
	if token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(token)))
	}
	conn, err := grpc.NewClient(address, options...)
	if err != nil {
		return nil, err
	}
	return &client{
		conn:        conn,
		uploads:     attunev1.NewUploadServiceClient(conn),
		datasets:    attunev1.NewDatasetServiceClient(conn),
		jobs:        attunev1.NewFineTuningJobServiceClient(conn),
		checkpoints: attunev1.NewCheckpointServiceClient(conn),
		predictions: attunev1.NewPredictionServiceClient(conn),
	}, nil
}

// bearer is a token that goes with each call. gRPC refuses to send it in plain text.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (b bearer) RequireTransportSecurity() bool { return true }

// withTimeout bounds unary calls, which otherwise wait for ever.
func withTimeout(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return invoke(ctx, method, request, reply, conn, options...)
}

// detail finds the google.rpc message of type T that the server sent with an error (in grpc-status-details-bin).
func detail[T any](err error) (T, bool) {
	for _, candidate := range status.Convert(err).Details() {
		if found, ok := candidate.(T); ok {
			return found, true
		}
	}
	var none T
	return none, false
}

// describe gives code, message and the fields at fault, for people.
func describe(err error) string {
	parts := []string{err.Error()}
	if request, ok := detail[*errdetails.BadRequest](err); ok {
		for _, fault := range request.GetFieldViolations() {
			parts = append(parts, fault.GetField()+": "+fault.GetDescription())
		}
	}
	return strings.Join(parts, "; ")
}

// retry runs a call again when it ends with UNAVAILABLE, a RetryInfo or one of codes, five times at most: after the delay that the server asks for, otherwise after a growing one. The call must be harmless to
// repeat, by its nature or through a request id.
func retry[T any](ctx context.Context, attempt func() (T, error), codes ...codes.Code) (T, error) {
	for retries := 0; ; retries++ {
		result, err := attempt()
		if err == nil || retries == maxRetries || !worthRetrying(err, codes) {
			return result, err
		}
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(delay(err, retries)):
		}
	}
}

func worthRetrying(err error, also []codes.Code) bool {
	code := status.Code(err)
	for _, other := range also {
		if code == other {
			return true
		}
	}
	_, asked := detail[*errdetails.RetryInfo](err)
	return asked || code == codes.Unavailable
}

func delay(err error, retries int) time.Duration {
	if info, ok := detail[*errdetails.RetryInfo](err); ok {
		return info.GetRetryDelay().AsDuration()
	}
	backoff := firstBackoff << retries
	return backoff/2 + time.Duration(rand.Int63n(int64(backoff/2)))
}
