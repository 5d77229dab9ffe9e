import { Controller, Param, Query } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { ParkedMessageList } from '@twinbox/messaging';
import { ApiProblems } from '../http/openapi/api-problems.js';
import { problemOf } from '../http/problem.js';
import { readPage } from './admin-pages.js';
import { adminProblems } from './admin-problems.js';
import { ADMIN_PATH, AdminGet } from './admin-route.js';
import { LetterParams } from './letter-query.dto.js';
import { parkedDtoOf, ParkedListQuery, ParkedPageDto, WholeParkedMessageDto } from './parked.dto.js';

@Controller(`${ADMIN_PATH}/parked`)
export class ParkedController {
  constructor(private readonly parked: ParkedMessageList) {}

  @AdminGet('', {
    operationId: 'listParkedMessages',
    summary: 'List messages that wait for another attempt, or for an earlier one of their key',
    description: 'Dead letters are not among them.',
  })
  @ApiOkResponse({ type: ParkedPageDto })
  @ApiProblems(adminProblems, 'dead-letter-filter-unknown')
  async list(@Query() query: ParkedListQuery): Promise<ParkedPageDto> {
    const { box, consumer, topic, type, key } = query;
    if (box === 'outbox' && consumer !== undefined)
      throw problemOf({ code: 'dead-letter-filter-unknown', box, filter: 'consumer' }, adminProblems);
    const filter = { box, consumer, topic, type, key };
    return readPage(query, filter, (page) => this.parked.list(filter, page));
  }

  @AdminGet(':box/:id', { operationId: 'getParkedMessage', summary: 'Get a parked message and what it waits for' })
  @ApiOkResponse({ type: WholeParkedMessageDto })
  @ApiProblems(adminProblems, 'parked-message-not-found')
  async get(@Param() { box, id }: LetterParams): Promise<WholeParkedMessageDto> {
    const message = await this.parked.find(box, id);
    if (!message) throw problemOf({ code: 'parked-message-not-found', box, id }, adminProblems);
    return parkedDtoOf(message);
  }
}
