import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createFileRegistry, type DescExtension, type DescFile, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { type Server, type ServerDuplexStream, type ServiceDefinition, status as codes } from '@grpc/grpc-js';
import {
  ServerReflectionRequest,
  ServerReflectionResponse,
  type ServerReflectionServer,
  ServerReflectionService,
} from '@twinbox/contracts/grpc/reflection';

const V1 = 'grpc.reflection.v1.ServerReflection';
const V1_ALPHA = 'grpc.reflection.v1alpha.ServerReflection';

type ReflectionCall = ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>;
type Answer = Omit<ServerReflectionResponse, 'validHost' | 'originalRequest'>;

/**
 * Adds server reflection in the versions v1 and v1alpha, by which clients such as grpcurl find out what a server offers. Files are served
 * as they were compiled, with their comments. `descriptors` is a serialized google.protobuf.FileDescriptorSet in which each file comes
 * after those it imports. Of its services, only those with these full names are served.
 */
export function addReflection(server: Server, descriptors: Uint8Array, names: readonly string[]): void {
  const catalogue = new Catalogue(descriptors, new Set([...names, V1, V1_ALPHA]));
  const implementation: ServerReflectionServer = { serverReflectionInfo: (call) => void serve(call, catalogue) };
  server.addService(ServerReflectionService, implementation);
  server.addService(ServerReflectionServiceV1Alpha, implementation);
}

/** The messages of both versions are the same on the wire. */
const ServerReflectionServiceV1Alpha: ServiceDefinition = {
  serverReflectionInfo: { ...ServerReflectionService.serverReflectionInfo, path: `/${V1_ALPHA}/ServerReflectionInfo` },
};

/** Answers the requests one by one, at the client's pace. */
async function serve(call: ReflectionCall, catalogue: Catalogue): Promise<void> {
  const sent = new Set<DescFile>();
  const answers = async function* (requests: AsyncIterable<ServerReflectionRequest>) {
    for await (const request of requests)
      yield { validHost: request.host, originalRequest: request, ...catalogue.answer(request, sent) };
  };
  // The types of grpc-js do not say that it is one.
  const stream = call as unknown as Duplex;
  // It fails only if the client has gone.
  await pipeline(stream, answers, stream).catch(() => undefined);
}

/** What reflection reports about the services of a server. */
class Catalogue {
  private readonly registry: ReturnType<typeof createFileRegistry>;
  private readonly bytes = new Map<DescFile, Buffer>();
  private readonly extensions: readonly DescExtension[];

  constructor(
    descriptors: Uint8Array,
    private readonly names: ReadonlySet<string>,
  ) {
    this.registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors));
    this.extensions = [...this.registry].filter((type) => type.kind === 'extension');
  }

  /** `sent` has the files that were sent in the same stream, which are not sent again as dependencies. */
  answer(request: ServerReflectionRequest, sent: Set<DescFile>): Answer {
    const { fileByFilename, fileContainingSymbol, fileContainingExtension, allExtensionNumbersOfType } = request;
    if (request.listServices !== undefined)
      return { listServicesResponse: { service: [...this.names].sort().map((name) => ({ name })) } };
    if (fileByFilename !== undefined)
      return this.files(this.registry.getFile(fileByFilename), `file ${fileByFilename}`, sent);
    if (fileContainingSymbol !== undefined)
      return this.files(this.fileWith(fileContainingSymbol), `symbol ${fileContainingSymbol}`, sent);
    if (fileContainingExtension !== undefined) {
      const { containingType, extensionNumber } = fileContainingExtension;
      const extension = this.extensionsOf(containingType).find(({ number }) => number === extensionNumber);
      return this.files(extension?.file, `extension ${extensionNumber} of ${containingType}`, sent);
    }
    if (allExtensionNumbersOfType !== undefined) return this.extensionNumbers(allExtensionNumbersOfType);
    return problem(codes.INVALID_ARGUMENT, 'The request names neither a file, a symbol nor an extension.');
  }

  private extensionNumbers(baseTypeName: string): Answer {
    if (!this.registry.getMessage(baseTypeName)) return notFound(`message ${baseTypeName}`);
    const extensionNumber = this.extensionsOf(baseTypeName).map(({ number }) => number);
    return { allExtensionNumbersResponse: { baseTypeName, extensionNumber } };
  }

  private extensionsOf(typeName: string): readonly DescExtension[] {
    return this.extensions.filter(({ extendee }) => extendee.typeName === typeName);
  }

  /** A symbol is a type, or a member of one: a field, a method, a value of an enum or an entry of a map. */
  private fileWith(symbol: string): DescFile | undefined {
    const type = this.registry.get(symbol);
    if (type) return type.file;
    const at = symbol.lastIndexOf('.');
    const [parent, name] = [symbol.slice(0, Math.max(at, 0)), symbol.slice(at + 1)];
    // The values of an enum belong to what contains the enum.
    for (const candidate of this.registry)
      if (
        candidate.kind === 'enum' &&
        scopeOf(candidate.typeName) === parent &&
        namesIn(candidate.proto.value).has(name)
      )
        return candidate.file;
    const container = this.registry.getMessage(parent) ?? this.registry.getService(parent);
    if (container?.kind === 'service') return namesIn(container.proto.method).has(name) ? container.file : undefined;
    if (!container) return undefined;
    const { field, oneofDecl, nestedType } = container.proto;
    return namesIn([...field, ...oneofDecl, ...nestedType]).has(name) ? container.file : undefined;
  }

  /** Answers with a file and those that it imports, directly or not. */
  private files(file: DescFile | undefined, what: string, sent: Set<DescFile>): Answer {
    if (!file || !this.isServed(file)) return notFound(what);
    const wanted = new Set([file]);
    for (const { dependencies } of wanted)
      for (const dependency of dependencies) if (!sent.has(dependency)) wanted.add(dependency);
    for (const each of wanted) sent.add(each);
    return { fileDescriptorResponse: { fileDescriptorProto: [...wanted].map((each) => this.bytesOf(each)) } };
  }

  /** Services of other servers are in the same set. */
  private isServed({ services }: DescFile): boolean {
    return services.length === 0 || services.some(({ typeName }) => this.names.has(typeName));
  }

  private bytesOf(file: DescFile): Buffer {
    const bytes = this.bytes.get(file) ?? Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto));
    this.bytes.set(file, bytes);
    return bytes;
  }
}

function scopeOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf('.'), 0));
}

function namesIn(members: readonly { readonly name: string }[]): ReadonlySet<string> {
  return new Set(members.map(({ name }) => name));
}

function notFound(what: string): Answer {
  return problem(codes.NOT_FOUND, `There is no ${what}.`);
}

function problem(errorCode: codes, errorMessage: string): Answer {
  return { errorResponse: { errorCode, errorMessage } };
}
