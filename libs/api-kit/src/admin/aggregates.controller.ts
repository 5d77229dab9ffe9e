import { Controller, Param, Query } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { AggregateMessages, InboxRecords } from '@twinbox/messaging';
import { ADMIN_PATH, AdminGet } from './admin-route.js';
import { AggregateParams, InboxRecordListDto, InboxRecordQuery, MessagesOfAggregateDto } from './aggregate.dto.js';

@Controller(ADMIN_PATH)
export class AggregatesController {
  constructor(
    private readonly messages: AggregateMessages,
    private readonly records: InboxRecords,
  ) {}

  @AdminGet('aggregates/:id', {
    operationId: 'getAggregateMessages',
    summary: 'Get the messages and jobs of one aggregate, the newest 500 of each kind',
  })
  @ApiOkResponse({ type: MessagesOfAggregateDto })
  async get(@Param() { id }: AggregateParams): Promise<MessagesOfAggregateDto> {
    return this.messages.find(id);
  }

  @AdminGet('inbox-records', {
    operationId: 'listInboxRecords',
    summary: 'List when the consumers of this service recorded messages',
    description: 'A consumer has then processed, parked or discarded the message.',
  })
  @ApiOkResponse({ type: InboxRecordListDto })
  async recorded(@Query() { messageId }: InboxRecordQuery): Promise<InboxRecordListDto> {
    return { items: await this.records.find(messageId) };
  }
}
