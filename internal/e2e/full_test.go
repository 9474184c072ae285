package e2e

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// fullScene is a scene whose data folder lies on a small disk.
type fullScene struct {
	*scene
	disk *disk
	args []string
	size int            // of a payload
	once *client.Client // says at once that it was refused
	ids  []string       // acknowledged
}

func newFullScene(t *testing.T, diskSize, payload int, args ...string) *fullScene {
	t.Helper()
	f := &fullScene{disk: newDisk(t, diskSize), size: payload, args: append(args, "--max-in-flight", "16", "--shutdown-grace", "5s")}
	f.scene = newScene(t, newReceiver(t, 1, "/=latency:1ms-20ms"))
	f.dir, f.seenAs = filepath.Join(f.disk.inside, "data"), filepath.Join(f.disk.folder, "data")
	f.once = f.newClient(client.Options{RetryFor: -1})
	f.launch(f.disk.via, f.args...)
	f.await("ready", f.ready)
	return f
}

// batch is 32 jobs.
func (f *fullScene) batch() *pb.SubmitRequest {
	req := &pb.SubmitRequest{Jobs: make([]*pb.JobSpec, 32)}
	for i := range req.Jobs {
		req.Jobs[i] = &pb.JobSpec{
			Source: "s", Destination: "d", Endpoint: f.receiver.url, Payload: make([]byte, f.size),
			Retry: &pb.RetryPolicy{MinBackoff: durationpb.New(20 * time.Millisecond), MaxBackoff: durationpb.New(100 * time.Millisecond)},
		}
	}
	return req
}

// submitUntilRefused submits until it is told that there is no room. That is the
// only way in which a Submit may fail.
func (f *fullScene) submitUntilRefused(what string) {
	f.Helper()
	f.await("refused", func() (bool, string) {
		resp, err := f.once.Submit(f.ctx, f.batch())
		if err == nil {
			f.ids = append(f.ids, resp.GetJobIds()...)
			return false, f.disk.String()
		}
		answer, _ := errors.AsType[*connect.Error](err)
		if connect.CodeOf(err) != connect.CodeResourceExhausted || answer.Meta().Get("Retry-After") == "" || !strings.Contains(err.Error(), what) {
			f.Fatalf("refused with %v, want resource_exhausted that says %q\n%s\n%s", err, what, f.disk, f.director.Log)
		}
		return true, ""
	})
	if len(f.ids) == 0 {
		f.Fatal("refused before anything was accepted")
	}
}

// goesOn submits patiently while room is made, and expects that the Submit comes
// through.
func (f *fullScene) goesOn() {
	f.Helper()
	type answer struct {
		resp *pb.SubmitResponse
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		resp, err := f.client.Submit(f.ctx, f.batch())
		answered <- answer{resp, err}
	}()
	f.await("refused once more", func() (bool, string) { return f.retried.Load() > 0, f.disk.String() })
	f.disk.unload()
	a := <-answered
	if a.err != nil {
		f.Fatalf("with room again: %v\n%s\n%s", a.err, f.disk, f.director.Log)
	}
	f.ids = append(f.ids, a.resp.GetJobIds()...)
}

// finish checks that all that was acknowledged is delivered.
func (f *fullScene) finish() {
	f.Helper()
	f.await("done with all jobs", func() (bool, string) {
		ledger := f.ledger()
		return ledger.GetPending() == 0, ledger.String()
	})
	for _, id := range f.ids {
		if f.receiver.Job(id).Successes == 0 {
			f.Errorf("job %s was acknowledged and never delivered", id)
		}
	}
	if ledger := f.ledger(); ledger.GetAccepted() != int64(len(f.ids)) {
		f.Errorf("of %d jobs acknowledged the ledger has %v", len(f.ids), ledger)
	}
	f.verify()
	f.terminate()
}

// Below --min-free-disk Submits are refused and deliveries go on.
func TestDiskNearlyFull(t *testing.T) {
	t.Parallel()
	// The free space is looked at once a second, in which there is room for many
	// small jobs; and the room that is kept is more than the log takes before it is
	// brought into the file.
	f := newFullScene(t, 64<<20, 1<<10, "--min-free-disk", "40MiB")
	f.ids = f.submit(f.batch().GetJobs()...)
	f.disk.load(39 << 20)
	f.submitUntilRefused("disk is nearly full")
	f.awaitDelivered(len(f.ids))
	f.goesOn()
	f.finish()
	if st := f.receiver.Stats(); st.Duplicates != 0 {
		t.Errorf("%d duplicates", st.Duplicates)
	}
}

// Without that bound the disk itself refuses: nothing acknowledged is lost,
// nothing is delivered twice, and it goes on when there is room.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	f := newFullScene(t, 24<<20, 16<<10, "--min-free-disk", "0")
	f.disk.load(6 << 20)
	f.submitUntilRefused("storage is full")
	f.disk.fill()
	f.goesOn()
	f.finish()
	if st := f.receiver.Stats(); st.Duplicates != 0 {
		t.Errorf("%d duplicates", st.Duplicates)
	}
}

// Begun while the disk is full, it serves or says why it cannot, and takes nothing
// for damaged; and when there is room it serves, without those deliveries being
// repeated that were recorded.
func TestBegunWhileDiskFull(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end  func(*fullScene) // how the Director before ended
		left int64            // bytes
	}{
		"killed, no room at all":            {killedWhenFull, 0},
		"killed, room for the lease alone":  {killedWhenFull, 8 << 10},
		"stopped, room for the lease alone": {stoppedBefore, 8 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFullScene(t, 24<<20, 16<<10, "--min-free-disk", "0")
			tc.end(f)
			mayAgain := make(map[string]bool)
			for _, id := range f.unrecorded() {
				mayAgain[id] = true
			}
			f.disk.fill()
			f.disk.shed(tc.left)

			f.begin(f.disk.via, f.args...)
			f.awaitVerdict()
			f.disk.unload()
			if _, listens := f.director.Log.Address(); !listens {
				_ = f.awaitEnd() // it could not even have the lease
				f.begin(f.disk.via, f.args...)
			}
			f.awaitListening()
			f.await("ready", f.ready)
			f.ids = append(f.ids, f.submit(f.batch().GetJobs()...)...)
			f.finish()
			for job := range f.receiver.Jobs() {
				if job.Successes > 2 || job.Successes == 2 && !mayAgain[job.ID] {
					t.Errorf("job %s was delivered %d times, recorded: %t", job.ID, job.Successes, !mayAgain[job.ID])
				}
			}
			if n := len(mayAgain); n > 3*16 {
				t.Errorf("%d deliveries were unrecorded, with 16 in flight at most", n)
			}
		})
	}
}

func killedWhenFull(f *fullScene) {
	f.Helper()
	f.disk.load(6 << 20)
	f.submitUntilRefused("storage is full")
	f.kill()
}

func stoppedBefore(f *fullScene) {
	f.Helper()
	f.ids = f.submit(f.batch().GetJobs()...)
	f.terminate()
}

// awaitVerdict waits until a Director that was begun without room serves, or has
// said why it does not, in its log or its last words.
func (f *fullScene) awaitVerdict() {
	f.Helper()
	defer func() { f.Logf("with no room, %s", f.director.Log) }()
	for {
		ended := false
		select {
		case <-f.director.Ended:
			ended = true
		default:
		}
		log := f.director.Log.String()
		if strings.Contains(log, "corrupt") {
			f.Fatal("it takes a full disk for a damaged file")
		}
		if strings.Contains(log, "no space left") || strings.Contains(log, "is full") {
			return
		}
		if ended {
			f.Fatal("it ended without saying that the disk is full")
		}
		if strings.Contains(log, `"msg":"recovered"`) {
			return
		}
		f.pause()
	}
}
