package rpc

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"

	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
)

// h2c is an HTTP client that speaks HTTP/2 without TLS.
func h2c(t *testing.T) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func zstdClient() connect.ClientOption {
	return connect.WithAcceptCompression("zstd",
		func() connect.Decompressor { return &limited{source: new(zstdReader), max: 1 << 20} }, newZstdWriter)
}

func TestProtocolsEncodingsAndVersions(t *testing.T) {
	payload := []byte(strings.Repeat("payload ", 10_000))
	backend := &fake{}
	address := serve(t, Options{Backends: backend.backends()})
	for name, options := range map[string][]connect.ClientOption{
		"connect":           nil,
		"connect JSON":      {connect.WithProtoJSON()},
		"connect gzip":      {connect.WithSendGzip()},
		"connect zstd":      {zstdClient(), connect.WithSendCompression("zstd")},
		"connect JSON zstd": {zstdClient(), connect.WithSendCompression("zstd"), connect.WithProtoJSON()},
		"gRPC":              {connect.WithGRPC()},
		"gRPC gzip":         {connect.WithGRPC(), connect.WithSendGzip()},
		"gRPC zstd":         {connect.WithGRPC(), zstdClient(), connect.WithSendCompression("zstd")},
		"gRPC-Web":          {connect.WithGRPCWeb()},
		"gRPC-Web zstd":     {connect.WithGRPCWeb(), zstdClient(), connect.WithSendCompression("zstd")},
	} {
		for version, c := range map[string]*http.Client{"HTTP/1.1": client(t), "HTTP/2": h2c(t)} {
			if version == "HTTP/1.1" && strings.HasPrefix(name, "gRPC") && !strings.HasPrefix(name, "gRPC-Web") {
				continue // gRPC needs HTTP/2
			}
			t.Run(name+" over "+version, func(t *testing.T) {
				jobs := centrifugev1connect.NewJobServiceClient(c, "http://"+address, options...)
				request := &pb.SubmitRequest{TransactionId: "t"}
				for range 100 { // so many ids that the answer is compressed, too
					request.Jobs = append(request.Jobs, &pb.JobSpec{Source: "s", Endpoint: "http://e.example/", Payload: payload[:100]})
				}
				request.Jobs[99].Payload = payload
				answer, err := jobs.Submit(t.Context(), connect.NewRequest(request))
				if err != nil {
					t.Fatal(err)
				}
				if answer.Msg.GetTransactionId() != "t" || len(answer.Msg.GetJobIds()) != 100 {
					t.Errorf("answered %v", answer.Msg)
				}
				submissions := backend.submitted()
				if got := submissions[len(submissions)-1].Jobs[99]; got.Source != "s" || !bytes.Equal(got.Payload, payload) {
					t.Errorf("submitted source %q and %d bytes", got.Source, len(got.Payload))
				}
				_, err = jobs.Get(t.Context(), connect.NewRequest(&pb.GetRequest{Id: "0ujtsYcgvSTl8PAuAdqWYSMnLOv"}))
				if connect.CodeOf(err) != connect.CodeNotFound {
					t.Errorf("a job that is not there gave %v", err)
				}
			})
		}
	}
}

// The same with the gRPC project's own client, which shares no code with ours.
func TestForeignGRPCClient(t *testing.T) {
	backend := &fake{}
	address := serve(t, Options{Backends: backend.backends()})
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
		var answer pb.SubmitResponse
		request := &pb.SubmitRequest{TransactionId: "t", Jobs: []*pb.JobSpec{{Source: "s", Endpoint: "http://e.example/"}}}
		if err := conn.Invoke(t.Context(), submitPath, request, &answer, options...); err != nil {
			t.Fatal(err)
		}
		if answer.GetTransactionId() != "t" || len(answer.GetJobIds()) != 1 {
			t.Errorf("answered %v", &answer)
		}
	}
}
