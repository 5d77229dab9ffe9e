import { Controller } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { Overview } from '@twinbox/messaging';
import { ADMIN_PATH, AdminGet } from './admin-route.js';
import { MessagingOverviewDto } from './overview.dto.js';

@Controller(ADMIN_PATH)
export class OverviewController {
  constructor(private readonly overview: Overview) {}

  @AdminGet('', {
    operationId: 'getMessagingOverview',
    summary: 'Get the state of messaging: the relay, consumers, job queues, and what is wrong since when',
    description:
      'Read from the tables and from Kafka, so every replica gives the same answer. Requests within a second share one reading. While ' +
      'Kafka does not answer, `group` of each consumer is null and `kafkaProblem` says why, within 2 s.',
  })
  @ApiOkResponse({ type: MessagingOverviewDto })
  async get(): Promise<MessagingOverviewDto> {
    return this.overview.read();
  }
}
