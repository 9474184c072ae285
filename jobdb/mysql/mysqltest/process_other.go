//go:build !linux

package mysqltest

import "syscall"

// dieWithParent does nothing where the system has no such thing: a server ends
// with its test, unless that is killed.
func dieWithParent() *syscall.SysProcAttr { return nil }
