import { Body, Controller, Param, Query, UseFilters } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { DeadJobs } from '@twinbox/messaging';
import { Caller } from '../http/caller.js';
import { ApiProblems } from '../http/openapi/api-problems.js';
import { problemOf } from '../http/problem.js';
import { IdempotencyKey } from '../idempotency/idempotency-key.js';
import { type Answer, UnitOfWork } from '../idempotency/unit-of-work.js';
import { readPage } from './admin-pages.js';
import { adminProblems } from './admin-problems.js';
import { ADMIN_PATH, AdminGet, AdminPost } from './admin-route.js';
import { AuditRefusals } from './audit-refusals.js';
import { CausesDto } from './causes.dto.js';
import {
  DeadJobDto,
  DeadJobFilterQuery,
  DeadJobListQuery,
  DeadJobPageDto,
  JobParams,
  WholeDeadJobDto,
} from './dead-job.dto.js';
import { accepted, EditJobDto, jobDataIn } from './edit.dto.js';
import { OptionalReasonDto, ReasonDto } from './reason.dto.js';

@UseFilters(AuditRefusals)
@Controller(`${ADMIN_PATH}/dead-jobs`)
export class DeadJobsController {
  constructor(
    private readonly jobs: DeadJobs,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  @AdminGet('', { operationId: 'listDeadJobs', summary: 'List jobs that are not retried automatically any more' })
  @ApiOkResponse({ type: DeadJobPageDto })
  async list(@Query() query: DeadJobListQuery): Promise<DeadJobPageDto> {
    const { queue, cause, diedAfter, diedBefore, order } = query;
    const filter = { queue, cause, diedAfter, diedBefore };
    return readPage(query, { ...filter, order }, (page) => this.jobs.list(filter, { ...page, order }));
  }

  @AdminGet('causes', { operationId: 'listDeadJobCauses', summary: 'Group dead jobs by the cause of their deaths' })
  @ApiOkResponse({ type: CausesDto })
  async causes(@Query() { queue, cause, diedAfter, diedBefore }: DeadJobFilterQuery): Promise<CausesDto> {
    return this.jobs.causes({ queue, cause, diedAfter, diedBefore });
  }

  @AdminGet(':id', { operationId: 'getDeadJob', summary: 'Get a dead job with its data' })
  @ApiOkResponse({ type: WholeDeadJobDto })
  @ApiProblems(adminProblems, 'dead-job-not-found')
  async get(@Param() { id }: JobParams): Promise<WholeDeadJobDto> {
    return found(await this.jobs.find(id), id);
  }

  @AdminPost(':id/retry', { operationId: 'retryDeadJob', summary: 'Retry a dead job, counting attempts from zero' })
  @ApiOkResponse({ type: DeadJobDto })
  @ApiProblems(adminProblems, 'dead-job-not-found')
  async retry(
    @Param() { id }: JobParams,
    @Body() { reason }: OptionalReasonDto,
    @Caller() { userId: actor }: Caller,
    @IdempotencyKey() key: IdempotencyKey | undefined,
  ): Promise<Answer<DeadJobDto>> {
    return this.unitOfWork.run(key, async (tx) => found(await this.jobs.retryOne(tx, id, { actor, reason }), id));
  }

  @AdminPost(':id/discard', { operationId: 'discardDeadJob', summary: 'Delete a dead job, which then never runs' })
  @ApiOkResponse({ type: DeadJobDto })
  @ApiProblems(adminProblems, 'dead-job-not-found')
  async discard(
    @Param() { id }: JobParams,
    @Body() { reason }: ReasonDto,
    @Caller() { userId: actor }: Caller,
    @IdempotencyKey() key: IdempotencyKey | undefined,
  ): Promise<Answer<DeadJobDto>> {
    return this.unitOfWork.run(key, async (tx) => found(await this.jobs.discardOne(tx, id, { actor, reason }), id));
  }

  @AdminPost(':id/edit', {
    operationId: 'editDeadJob',
    summary: 'Replace the data of a dead job and retry it',
    description:
      'The id of the job stays. The audit keeps the original data, the edited data and their difference (RFC 6902).',
  })
  @ApiOkResponse({ type: DeadJobDto })
  @ApiProblems(adminProblems, 'dead-job-not-found', 'edit-invalid')
  async edit(
    @Param() { id }: JobParams,
    @Body() { data, reason }: EditJobDto,
    @Caller() { userId: actor }: Caller,
    @IdempotencyKey() key: IdempotencyKey | undefined,
  ): Promise<Answer<DeadJobDto>> {
    return this.unitOfWork.run(key, async (tx) =>
      found(await accepted(async () => this.jobs.edit(tx, id, jobDataIn(data), { actor, reason })), id),
    );
  }
}

function found<T>(job: T | undefined, id: string): T {
  if (!job) throw problemOf({ code: 'dead-job-not-found', id }, adminProblems);
  return job;
}
