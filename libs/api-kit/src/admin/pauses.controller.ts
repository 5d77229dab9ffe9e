import { Body, Controller, Param, Query, UseFilters } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { InvalidInputError, Pauses } from '@twinbox/messaging';
import { Caller } from '../http/caller.js';
import { ApiProblems } from '../http/openapi/api-problems.js';
import { problemOf } from '../http/problem.js';
import { UnitOfWork } from '../idempotency/unit-of-work.js';
import { adminProblems } from './admin-problems.js';
import { ADMIN_PATH, AdminDelete, AdminGet, AdminPut } from './admin-route.js';
import { AuditRefusals } from './audit-refusals.js';
import { PauseDto, PauseListDto, PauseParams, ResumedDto, ResumeQuery } from './pause.dto.js';
import { OptionalReasonDto } from './reason.dto.js';

@UseFilters(AuditRefusals)
@Controller(`${ADMIN_PATH}/pauses`)
export class PausesController {
  constructor(
    private readonly pauses: Pauses,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  @AdminGet('', { operationId: 'listPauses', summary: 'List what operators have paused' })
  @ApiOkResponse({ type: PauseListDto })
  async list(): Promise<PauseListDto> {
    return { items: await this.pauses.list() };
  }

  @AdminPut(':kind/:name', {
    operationId: 'pauseProcessing',
    summary: 'Pause a consumer, a job queue or the relay in all replicas',
    description:
      'Every replica stops within two seconds; what runs then finishes. The pause outlasts restarts. What is paused already stays paused ' +
      'with its first actor and reason.',
  })
  @ApiOkResponse({ type: PauseDto })
  @ApiProblems(adminProblems, 'nothing-to-pause')
  async pause(
    @Param() params: PauseParams,
    @Body() { reason }: OptionalReasonDto,
    @Caller() { userId: actor }: Caller,
  ): Promise<PauseDto> {
    const { kind, name } = params;
    if (!this.exists(params)) throw this.notFound(params);
    return this.unitOfWork.transaction((tx) => this.pauses.pause(tx, kind, name, { actor, reason }));
  }

  @AdminDelete(':kind/:name', {
    operationId: 'resumeProcessing',
    summary: 'Resume a consumer, a job queue or the relay in all replicas',
  })
  @ApiOkResponse({ type: ResumedDto })
  @ApiProblems(adminProblems, 'nothing-to-pause')
  async resume(
    @Param() params: PauseParams,
    @Query() { reason }: ResumeQuery,
    @Caller() { userId: actor }: Caller,
  ): Promise<ResumedDto> {
    const { kind, name } = params;
    const ended = await this.unitOfWork
      .transaction((tx) => this.pauses.resume(tx, kind, name, { actor, reason }))
      .catch((error: unknown) => {
        if (error instanceof InvalidInputError && !this.exists(params)) throw this.notFound(params);
        throw error;
      });
    return { ended: ended ?? null };
  }

  private exists({ kind, name }: PauseParams): boolean {
    return this.pauses.names(kind).includes(name);
  }

  private notFound({ kind, name }: PauseParams) {
    return problemOf({ code: 'nothing-to-pause', kind, name, known: this.pauses.names(kind) }, adminProblems);
  }
}
