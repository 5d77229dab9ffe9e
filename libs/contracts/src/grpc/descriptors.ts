import { DESCRIPTORS } from '../generated/grpc/descriptors.js';

/** A serialized `google.protobuf.FileDescriptorSet` of all .proto files and what they import, with the comments of our own. */
export const descriptors: Uint8Array = Buffer.from(DESCRIPTORS, 'base64');
