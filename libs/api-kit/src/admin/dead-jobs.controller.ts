import { Body, Controller, Param, Query } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { DeadJobs, type WholeDeadJob } from '@twinbox/messaging';
import { Caller } from '../http/caller.js';
import { ApiProblems } from '../http/openapi/api-problems.js';
import { problemOf } from '../http/problem.js';
import { IdempotencyKey } from '../idempotency/idempotency-key.js';
import { type Answer, UnitOfWork } from '../idempotency/unit-of-work.js';
import { readPage } from './admin-pages.js';
import { adminProblems } from './admin-problems.js';
import { ADMIN_PATH, AdminGet, AdminPost } from './admin-route.js';
import { DeadJobDto, DeadJobListQuery, DeadJobPageDto, JobParams, WholeDeadJobDto } from './dead-job.dto.js';
import { OptionalReasonDto, ReasonDto } from './reason.dto.js';

@Controller(`${ADMIN_PATH}/dead-jobs`)
export class DeadJobsController {
  constructor(
    private readonly jobs: DeadJobs,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  @AdminGet('', { operationId: 'listDeadJobs', summary: 'List jobs that are not retried automatically any more' })
  @ApiOkResponse({ type: DeadJobPageDto })
  async list(@Query() query: DeadJobListQuery): Promise<DeadJobPageDto> {
    const { queue } = query;
    return readPage(query, { queue }, (page) => this.jobs.list({ queue }, page));
  }

  @AdminGet(':id', { operationId: 'getDeadJob', summary: 'Get a dead job with its data' })
  @ApiOkResponse({ type: WholeDeadJobDto })
  @ApiProblems(adminProblems, 'dead-job-not-found')
  async get(@Param() { id }: JobParams): Promise<WholeDeadJobDto> {
    return this.find(id);
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
    return this.unitOfWork.run(key, async () => {
      const { data: _, ...job } = await this.find(id);
      await this.jobs.retry([id], { actor, reason });
      return job;
    });
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
    return this.unitOfWork.run(key, async () => {
      const { data: _, ...job } = await this.find(id);
      await this.jobs.discard([id], { actor, reason });
      return job;
    });
  }

  private async find(id: string): Promise<WholeDeadJob> {
    const job = await this.jobs.find(id);
    if (!job) throw problemOf({ code: 'dead-job-not-found', id }, adminProblems);
    return job;
  }
}
