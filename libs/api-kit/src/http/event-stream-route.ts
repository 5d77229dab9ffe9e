import { applyDecorators, createParamDecorator, type ExecutionContext, type Type } from '@nestjs/common';
import { ApiExtraModels, ApiHeader, ApiOkResponse, ApiProduces, getSchemaPath } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { documentedBy } from './openapi/route-extensions.js';
import { AddRouteConfig } from './route-config.js';
import { validationProblem } from './validation-problem.js';

const EVENT_STREAM = 'twinboxEventStream';

/** Whether the request is for a stream of events. */
export function isEventStream({ routeOptions }: FastifyRequest): boolean {
  return EVENT_STREAM in routeOptions.config;
}

/** Injects the id of the last event that a reconnecting client received. An id of more than 255 characters is a 400. */
export const LastEventId = createParamDecorator(
  (_: unknown, context: ExecutionContext): string | undefined => {
    const id = context.switchToHttp().getRequest<FastifyRequest>().headers['last-event-id'];
    if (id === undefined || id === '') return undefined;
    if (typeof id === 'string' && id.length <= 255) return id;
    throw validationProblem([{ parameter: 'Last-Event-ID', detail: 'must be the id of an event' }]);
  },
  [
    documentedBy(
      ApiHeader({
        name: 'Last-Event-ID',
        description:
          'The id of the last event that you received. The stream resumes after it. An EventSource sends it automatically.',
        required: false,
        schema: { type: 'string', format: 'event-id', maxLength: 255 },
      }),
    ),
  ],
);

/** An event of a stream. Its data is sent as JSON. */
interface StreamedEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data: object;
}

/**
 * Documents a route that answers with `openEventStream`, and makes it count as a stream for the rate limits. `data` is the class of the
 * events' data. The schema and the example describe a single event. OpenAPI 3.2 has the keyword `itemSchema` for that; tools for 3.1 use
 * `schema` in its place.
 */
export const ApiEventStream = (description: string, example: StreamedEvent, data?: Type): MethodDecorator => {
  const schema = {
    type: 'object',
    properties: {
      id: { type: 'string', format: 'event-id' },
      event: { type: 'string' },
      data: {
        type: 'string',
        contentMediaType: 'application/json',
        ...(data && { contentSchema: { $ref: getSchemaPath(data) } }),
      },
    },
    required: ['data'],
  };
  return applyDecorators(
    // Without a span, because a stream is open for as long as the client likes.
    AddRouteConfig({ [EVENT_STREAM]: true, otel: false }),
    ApiProduces('text/event-stream'),
    ...(data ? [ApiExtraModels(data)] : []),
    ApiOkResponse({
      description,
      content: { 'text/event-stream': { schema, example: { ...example, data: JSON.stringify(example.data) } } },
    }),
  );
};
