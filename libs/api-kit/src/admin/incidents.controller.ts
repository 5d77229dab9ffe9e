import { Body, Controller, Param, UseFilters } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { Incidents } from '@twinbox/messaging';
import { Caller } from '../http/caller.js';
import { ApiProblems } from '../http/openapi/api-problems.js';
import { problemOf } from '../http/problem.js';
import { IdempotencyKey } from '../idempotency/idempotency-key.js';
import { type Answer, UnitOfWork } from '../idempotency/unit-of-work.js';
import { adminProblems } from './admin-problems.js';
import { ADMIN_PATH, AdminGet, AdminPost } from './admin-route.js';
import { AuditRefusals } from './audit-refusals.js';
import { IncidentDto, IncidentListDto, IncidentParams } from './incident.dto.js';
import { ReasonDto } from './reason.dto.js';

@UseFilters(AuditRefusals)
@Controller(`${ADMIN_PATH}/incidents`)
export class IncidentsController {
  constructor(
    private readonly incidents: Incidents,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  @AdminGet('', {
    operationId: 'listIncidents',
    summary: 'List incidents: what happened once, may have done damage, and nobody has acknowledged',
  })
  @ApiOkResponse({ type: IncidentListDto })
  async list(): Promise<IncidentListDto> {
    return { items: await this.incidents.list() };
  }

  @AdminPost(':id/acknowledge', {
    operationId: 'acknowledgeIncident',
    summary: 'Acknowledge an incident, so that health no longer shows it',
  })
  @ApiOkResponse({ type: IncidentDto })
  @ApiProblems(adminProblems, 'incident-not-found')
  async acknowledge(
    @Param() { id }: IncidentParams,
    @Body() { reason }: ReasonDto,
    @Caller() { userId: actor }: Caller,
    @IdempotencyKey() key: IdempotencyKey | undefined,
  ): Promise<Answer<IncidentDto>> {
    return this.unitOfWork.run(key, async (tx) => {
      const incident = await this.incidents.acknowledgeOne(tx, id, { actor, reason });
      if (!incident) throw problemOf({ code: 'incident-not-found', id }, adminProblems);
      return incident;
    });
  }
}
