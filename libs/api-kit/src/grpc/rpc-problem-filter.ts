import { type ArgumentsHost, Catch, Logger, type RpcExceptionFilter } from '@nestjs/common';
import { type Observable, throwError } from 'rxjs';
import { requestOf } from '../http/edge-request.js';
import { problemFor } from '../http/problem-for.js';
import { fieldNamesOf } from './field-names.js';
import { grpcErrorOf } from './grpc-error.js';

/** Turns every error of a gRPC call into its status. A problem document and a status describe the same problem. */
@Catch()
export class RpcProblemFilter implements RpcExceptionFilter {
  private readonly logger = new Logger('Problem');

  catch(exception: unknown, host: ArgumentsHost): Observable<never> {
    const problem = problemFor(exception, this.logger);
    const names = fieldNamesOf(host.getArgByIndex<object>(2));
    return throwError(() => grpcErrorOf(problem, requestOf(host).id, names));
  }
}
