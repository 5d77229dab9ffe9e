import { Body, Controller, Param, Query, UseFilters } from '@nestjs/common';
import { ApiExtraModels, ApiOkResponse, getSchemaPath } from '@nestjs/swagger';
import { type DeadLetter, DeadLetters } from '@twinbox/messaging';
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
import { LetterFilterQuery, letterFilterOf, LetterListQuery, LetterParams } from './letter-query.dto.js';
import { accepted, EditLetterDto } from './edit.dto.js';
import {
  InboxLetterDto,
  inboxLetterDtoOf,
  LetterPageDto,
  OutboxLetterDto,
  WholeInboxLetterDto,
  WholeOutboxLetterDto,
} from './letter.dto.js';
import { OptionalReasonDto, ReasonDto } from './reason.dto.js';

const either = (...types: readonly (new () => object)[]) => ({
  schema: { oneOf: types.map((type) => ({ $ref: getSchemaPath(type) })) },
});
const ONE = either(InboxLetterDto, OutboxLetterDto);

@ApiExtraModels(InboxLetterDto, OutboxLetterDto, WholeInboxLetterDto, WholeOutboxLetterDto)
@UseFilters(AuditRefusals)
@Controller(`${ADMIN_PATH}/dead-letters`)
export class DeadLettersController {
  constructor(
    private readonly letters: DeadLetters,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  @AdminGet('', {
    operationId: 'listDeadLetters',
    summary: 'List dead letters: messages that are not retried automatically any more',
    description: 'A letter that exists from the first page to the last is on exactly one page.',
  })
  @ApiOkResponse({ type: LetterPageDto })
  @ApiProblems(adminProblems, 'dead-letter-filter-unknown')
  async list(@Query() query: LetterListQuery): Promise<LetterPageDto> {
    const filter = letterFilterOf(query);
    const { order } = query;
    return readPage(query, { ...filter, order }, (page) => this.letters.list(filter, { ...page, order }));
  }

  @AdminGet('causes', {
    operationId: 'listDeadLetterCauses',
    summary: 'Group dead letters by the cause of their deaths',
    description: 'Errors that differ only in ids, numbers and quoted values have one cause.',
  })
  @ApiOkResponse({ type: CausesDto })
  @ApiProblems(adminProblems, 'dead-letter-filter-unknown')
  async causes(@Query() query: LetterFilterQuery): Promise<CausesDto> {
    return this.letters.causes(letterFilterOf(query));
  }

  @AdminGet(':box/:id', { operationId: 'getDeadLetter', summary: 'Get a dead letter with its payload and headers' })
  @ApiOkResponse(either(WholeInboxLetterDto, WholeOutboxLetterDto))
  @ApiProblems(adminProblems, 'dead-letter-not-found')
  async get(@Param() params: LetterParams): Promise<WholeInboxLetterDto | WholeOutboxLetterDto> {
    const letter = found(await this.letters.find(params.box, params.id), params);
    return letter.box === 'inbox' ? inboxLetterDtoOf(letter) : letter;
  }

  @AdminPost(':box/:id/retry', {
    operationId: 'retryDeadLetter',
    summary: 'Retry a dead letter before the messages that wait behind it, counting attempts from zero',
  })
  @ApiOkResponse(ONE)
  @ApiProblems(adminProblems, 'dead-letter-not-found')
  async retry(
    @Param() params: LetterParams,
    @Body() { reason }: OptionalReasonDto,
    @Caller() { userId: actor }: Caller,
    @IdempotencyKey() key: IdempotencyKey | undefined,
  ): Promise<Answer<DeadLetter>> {
    const { box, id } = params;
    return this.unitOfWork.run(key, async (tx) =>
      found(await this.letters.retryOne(tx, box, id, { actor, reason }), params),
    );
  }

  @AdminPost(':box/:id/discard', {
    operationId: 'discardDeadLetter',
    summary: 'Discard a dead letter permanently',
    description:
      'The messages that wait behind it become due at once. Its payload is lost; the audit describes the message without it.',
  })
  @ApiOkResponse(ONE)
  @ApiProblems(adminProblems, 'dead-letter-not-found')
  async discard(
    @Param() params: LetterParams,
    @Body() { reason }: ReasonDto,
    @Caller() { userId: actor }: Caller,
    @IdempotencyKey() key: IdempotencyKey | undefined,
  ): Promise<Answer<DeadLetter>> {
    const { box, id } = params;
    return this.unitOfWork.run(key, async (tx) =>
      found(await this.letters.discardOne(tx, box, id, { actor, reason }), params),
    );
  }

  @AdminPost(':box/:id/edit', {
    operationId: 'editDeadLetter',
    summary: 'Replace the payload of a dead letter and retry it',
    description:
      'The id of the message stays. The audit keeps the original payload, the edited one and their difference (RFC 6902).',
  })
  @ApiOkResponse(ONE)
  @ApiProblems(adminProblems, 'dead-letter-not-found', 'edit-invalid')
  async edit(
    @Param() params: LetterParams,
    @Body() { payload, reason }: EditLetterDto,
    @Caller() { userId: actor }: Caller,
    @IdempotencyKey() key: IdempotencyKey | undefined,
  ): Promise<Answer<DeadLetter>> {
    const { box, id } = params;
    return this.unitOfWork.run(key, async (tx) =>
      found(await accepted(() => this.letters.edit(tx, box, id, payload, { actor, reason })), params),
    );
  }
}

function found<T>(letter: T | undefined, { box, id }: LetterParams): T {
  if (!letter) throw problemOf({ code: 'dead-letter-not-found', box, id }, adminProblems);
  return letter;
}
