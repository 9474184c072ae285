package rpc

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "centrifuge/gen/centrifuge/v1"
)

// procedures are the paths of all that the schema has, whether it is served or
// not.
func procedures() map[string]bool {
	paths := map[string]bool{}
	schema := pb.File_centrifuge_v1_job_proto.Package()
	protoregistry.GlobalFiles.RangeFilesByPackage(schema, func(file protoreflect.FileDescriptor) bool {
		services := file.Services()
		for i := range services.Len() {
			methods := services.Get(i).Methods()
			for j := range methods.Len() {
				paths["/"+string(services.Get(i).FullName())+"/"+string(methods.Get(j).Name())] = true
			}
		}
		return true
	})
	return paths
}
