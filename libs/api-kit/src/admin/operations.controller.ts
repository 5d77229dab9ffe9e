import { Body, Controller, Param, Query, Res, UseFilters } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse } from '@nestjs/swagger';
import { Operations, type OperationRequest } from '@twinbox/messaging';
import { type FastifyReply } from 'fastify';
import { Caller } from '../http/caller.js';
import { ApiProblems } from '../http/openapi/api-problems.js';
import { problemOf } from '../http/problem.js';
import { IdempotencyKey } from '../idempotency/idempotency-key.js';
import { type Answer, UnitOfWork } from '../idempotency/unit-of-work.js';
import { readPage } from './admin-pages.js';
import { adminProblems } from './admin-problems.js';
import { ADMIN_PATH, AdminGet, AdminPost } from './admin-route.js';
import { AuditRefusals } from './audit-refusals.js';
import { operationOrProblem } from './invalid-input.js';
import { NewOperationDto, OperationListQuery, OperationParams } from './new-operation.dto.js';
import { DryRunDto, OperationDto, OperationPageDto } from './operation.dto.js';
import { OptionalReasonDto } from './reason.dto.js';

@UseFilters(AuditRefusals)
@Controller(`${ADMIN_PATH}/operations`)
export class OperationsController {
  constructor(
    private readonly operations: Operations,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  @AdminPost('', {
    operationId: 'createOperation',
    summary: 'Retry, discard or replay many messages or jobs, or count them with `dryRun`',
    description:
      'The operation is stored, and any replica runs it, one at a time. It survives crashes. The filter is frozen together with `asOf`, so ' +
      'items that come later are not handled. Discards require a reason.',
  })
  @ApiOkResponse({ type: DryRunDto, description: 'The result of a dry run.' })
  @ApiCreatedResponse({
    type: OperationDto,
    headers: { Location: { description: 'The path of the operation.', schema: { type: 'string' } } },
  })
  @ApiProblems(adminProblems, 'operation-invalid')
  async create(
    @Body() { kind, filter, options: { dryRun, ...options } = {}, reason }: NewOperationDto,
    @Caller() { userId: actor }: Caller,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Answer<DryRunDto | OperationDto>> {
    const request: OperationRequest = { kind, filter: Object.fromEntries(Object.entries(filter)), options };
    // Before the transaction, because counting may take a second, and a replay asks Kafka.
    const counted = await operationOrProblem(this.operations.preview(request));
    if (dryRun === true) return counted;
    const operation = await this.unitOfWork.run(key, (tx) =>
      operationOrProblem(this.operations.create(tx, { ...request, dryRun: counted, actor, reason })),
    );
    void reply.status(201).header('location', `/${ADMIN_PATH}/operations/${operation.id}`);
    return operation;
  }

  @AdminGet('', { operationId: 'listOperations', summary: 'List operations on many messages or jobs' })
  @ApiOkResponse({ type: OperationPageDto })
  async list(@Query() query: OperationListQuery): Promise<OperationPageDto> {
    const { state } = query;
    return readPage(query, { state }, (page) => this.operations.list({ state }, page));
  }

  @AdminGet(':id', { operationId: 'getOperation', summary: 'Get an operation with its progress' })
  @ApiOkResponse({ type: OperationDto })
  @ApiProblems(adminProblems, 'operation-not-found')
  async get(@Param() { id }: OperationParams): Promise<OperationDto> {
    return found(await this.operations.find(id), id);
  }

  @AdminPost(':id/cancel', {
    operationId: 'cancelOperation',
    summary: 'Cancel an operation',
    description: 'What it has handled stays handled. Cancelling a cancelled operation returns it.',
  })
  @ApiOkResponse({ type: OperationDto })
  @ApiProblems(adminProblems, 'operation-not-found', 'operation-ended')
  async cancel(
    @Param() { id }: OperationParams,
    @Body() { reason }: OptionalReasonDto,
    @Caller() { userId: actor }: Caller,
    @IdempotencyKey() key: IdempotencyKey | undefined,
  ): Promise<Answer<OperationDto>> {
    return this.unitOfWork.run(key, async (tx) => {
      const operation = found(await this.operations.cancel(tx, id, { actor, reason }), id);
      const { state } = operation;
      if (state !== 'cancelled') throw problemOf({ code: 'operation-ended', id, state }, adminProblems);
      return operation;
    });
  }
}

function found<T>(operation: T | undefined, id: string): T {
  if (!operation) throw problemOf({ code: 'operation-not-found', id }, adminProblems);
  return operation;
}
