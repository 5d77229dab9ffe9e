import { Controller, Param, Query } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { AuditTrail } from '@twinbox/messaging';
import { ApiProblems } from '../http/openapi/api-problems.js';
import { problemOf } from '../http/problem.js';
import { readPage } from './admin-pages.js';
import { adminProblems } from './admin-problems.js';
import { ADMIN_PATH, AdminGet } from './admin-route.js';
import { AuditEntryDto, AuditPageDto, AuditParams, AuditQuery } from './audit.dto.js';

@Controller(`${ADMIN_PATH}/audit`)
export class AuditController {
  constructor(private readonly audit: AuditTrail) {}

  @AdminGet('', {
    operationId: 'listAuditEntries',
    summary: 'List what operators did to messages and jobs, or tried to',
    description:
      'With a filter other than `operation`, one request looks at 5,000 entries at most, so a page may be empty and still have a `nextCursor`. ' +
      'Of the refused actions of a caller, one a second is recorded.',
  })
  @ApiOkResponse({ type: AuditPageDto })
  async list(@Query() query: AuditQuery): Promise<AuditPageDto> {
    const { actor, action, outcome, messageId, operation } = query;
    const filter = { actor, action, outcome, messageId, operation };
    return readPage(query, filter, (page) => this.audit.list(filter, page));
  }

  @AdminGet(':id', { operationId: 'getAuditEntry', summary: 'Get an entry of the audit with its whole detail' })
  @ApiOkResponse({ type: AuditEntryDto })
  @ApiProblems(adminProblems, 'audit-entry-not-found')
  async get(@Param() { id }: AuditParams): Promise<AuditEntryDto> {
    const entry = await this.audit.find(id);
    if (!entry) throw problemOf({ code: 'audit-entry-not-found', id }, adminProblems);
    return entry;
  }
}
