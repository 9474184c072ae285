package main

import "testing"

func TestGCPercentLeavesRoomForGarbageAndNoMoreThanTheRuntime(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 800, 1: 800, 16 << 20: 800, 32 << 20: 400, 64 << 20: 200, 128 << 20: 100, 1 << 30: 100, 1 << 62: 100,
	} {
		if got := gcPercent(live); got != want {
			t.Errorf("GOGC for %d bytes alive is %d, want %d", live, got, want)
		}
	}
}
