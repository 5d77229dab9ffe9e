import { Controller, Query } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { AuditTrail } from '@twinbox/messaging';
import { readPage } from './admin-pages.js';
import { ADMIN_PATH, AdminGet } from './admin-route.js';
import { AuditPageDto, AuditQuery } from './audit.dto.js';

@Controller(`${ADMIN_PATH}/audit`)
export class AuditController {
  constructor(private readonly audit: AuditTrail) {}

  @AdminGet('', {
    operationId: 'listAuditEntries',
    summary: 'List what operators did to messages and jobs, or tried to',
    description:
      'A page may be empty and still have a `nextCursor`, because one request looks at 100,000 entries at most. Of the refused actions of ' +
      'a caller, each replica records one a second.',
  })
  @ApiOkResponse({ type: AuditPageDto })
  async list(@Query() query: AuditQuery): Promise<AuditPageDto> {
    const { actor, action, outcome, messageId, operation } = query;
    const filter = { actor, action, outcome, messageId, operation };
    return readPage(query, filter, (page) => this.audit.list(filter, page));
  }
}
