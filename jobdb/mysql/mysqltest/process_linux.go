package mysqltest

import "syscall"

// dieWithParent has a server end with the tests, however these end.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
