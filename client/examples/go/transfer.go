package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"

	"attune.dev/examples/go/attunev1"
)

const (
	pieceBytes = 256 << 10
	allPieces  = math.MaxInt // receive's mostPieces for a whole file
)

func sha256Hex(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

func (c *client) createUpload(ctx context.Context, path string, content []byte) (*attunev1.Upload, error) {
	request := &attunev1.CreateUploadRequest{Filename: filepath.Base(path), SizeBytes: int64(len(content)), Sha256: sha256Hex(content), RequestId: newRequestID()}
	return retry(ctx, func() (*attunev1.Upload, error) { return c.uploads.CreateUpload(ctx, request) })
}

func (c *client) getUpload(ctx context.Context, name string) (*attunev1.Upload, error) {
	return retry(ctx, func() (*attunev1.Upload, error) {
		return c.uploads.GetUpload(ctx, &attunev1.GetUploadRequest{Name: name})
	})
}

// sendFirstPart sends a part, cuts the stream, and returns what the server has kept.
func (c *client) sendFirstPart(ctx context.Context, name string, part []byte) (*attunev1.Upload, error) {
	streamContext, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.uploads.WriteUpload(streamContext)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&attunev1.WriteUploadRequest{Name: name, Data: part}); err != nil {
		return nil, err
	}
	// Send returns before anything is on its way, and cancelling discards what is not. A connection delivers in order: after the answer to a later call, the part has arrived.
	if _, err := c.getUpload(ctx, name); err != nil {
		return nil, err
	}
	cancel()
	// The server makes durable what has arrived when it notices the cut.
	for poll := 0; poll < 100; poll++ {
		upload, err := c.getUpload(ctx, name)
		if err != nil || upload.GetCommittedBytes() > 0 {
			return upload, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, errors.New("the server kept nothing of the first part")
}

// sendRest sends what the server does not have yet.
func (c *client) sendRest(ctx context.Context, name string, content []byte) (*attunev1.Upload, error) {
	send := func() (*attunev1.Upload, error) {
		upload, err := c.getUpload(ctx, name)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		stream, err := c.uploads.WriteUpload(ctx)
		if err != nil {
			return nil, err
		}
		rest := bytes.NewBuffer(content[upload.GetCommittedBytes():])
		request := &attunev1.WriteUploadRequest{Name: name, Offset: upload.GetCommittedBytes()}
		// Once at least: where only the answer was lost, nothing is left to send, but the server must learn which upload this is.
		for first := true; first || rest.Len() > 0; first = false {
			request.Data = rest.Next(pieceBytes)
			// io.EOF: the server has ended the call; CloseAndRecv says why.
			if err := stream.Send(request); err != nil {
				break
			}
			request = &attunev1.WriteUploadRequest{}
		}
		return stream.CloseAndRecv()
	}
	// ABORTED: the server still holds the stream that was cut.
	return retry(ctx, send, codes.Aborted)
}

// receive appends a checkpoint's file to content, from where that ends: this many pieces at most, then the stream is cut.
func (c *client) receive(ctx context.Context, checkpoint string, file *attunev1.CheckpointFile, content *bytes.Buffer, mostPieces int) error {
	_, err := retry(ctx, func() (any, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.checkpoints.DownloadCheckpointFile(ctx, &attunev1.DownloadCheckpointFileRequest{Name: checkpoint, Path: file.GetPath(), Offset: int64(content.Len())})
		if err != nil {
			return nil, err
		}
		for piece := 0; piece < mostPieces; piece++ {
			response, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			if response.GetOffset() != int64(content.Len()) {
				return nil, fmt.Errorf("byte %d came where %d was due", response.GetOffset(), content.Len())
			}
			content.Write(response.GetData())
		}
		return nil, nil
	})
	return err
}
