import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ProblemException } from '@twinbox/api-kit';
import { plainToInstance, Type } from 'class-transformer';
import { IsIn, IsObject, IsOptional, IsString, IsUUID, ValidateNested, validateSync } from 'class-validator';
import { type PaymentResult } from '../../domain/payment-request.js';

const TYPES = ['payment.succeeded', 'payment.failed'] as const;

class WebhookDataDto {
  @ApiProperty({ format: 'uuid', example: '01939d3c-3b1e-7a52-8f01-1c2d3e4f5a6b' })
  @IsUUID('7')
  readonly paymentRequestId!: string;

  @ApiPropertyOptional({ example: 'card declined', description: 'Why it failed; up to 400 characters are kept.' })
  @IsOptional()
  @IsString()
  readonly reason?: string;
}

/** What the provider says. Unlike our own clients it may say more than we know of. */
export class WebhookDto {
  @ApiProperty({ enum: TYPES, example: 'payment.succeeded', description: 'Others are taken, and ignored.' })
  @IsIn(TYPES)
  readonly type!: (typeof TYPES)[number];

  @ApiPropertyOptional({ format: 'date-time', example: '2026-11-21T09:31:00Z' })
  readonly timestamp?: string;

  @ApiProperty({ type: WebhookDataDto })
  @IsObject()
  @ValidateNested()
  @Type(() => WebhookDataDto)
  readonly data!: WebhookDataDto;
}

const OUTCOMES = ['applied', 'passed-over', 'repeated', 'ignored'] as const;

export class WebhookAnswerDto {
  @ApiProperty({
    enum: OUTCOMES,
    example: 'applied',
    description:
      '`applied`: the payment changed. `passed-over`: it did not, and its timeline says why. `repeated`: this webhook-id came before. ' +
      '`ignored`: a type that means nothing here.',
  })
  readonly outcome!: (typeof OUTCOMES)[number];
}

/**
 * Reads a body that is proved to be the provider's; undefined for a type that means nothing here.
 * @throws ProblemException (400) when it lacks what its type needs
 */
export function readWebhook(body: Buffer): WebhookDto | undefined {
  const value: unknown = JSON.parse(body.toString());
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('#', 'must be a JSON object');
  const { type } = value as { type?: unknown };
  if (typeof type !== 'string') throw invalid('#/type', 'type must be a string');
  if (!(TYPES as readonly string[]).includes(type)) return undefined;

  const webhook = plainToInstance(WebhookDto, value);
  const [error] = validateSync(webhook);
  if (!error) return webhook;
  const inner = error.children?.[0];
  const [detail = 'is not valid'] = Object.values(inner?.constraints ?? error.constraints ?? {});
  throw invalid(`#/${error.property}${inner ? `/${inner.property}` : ''}`, detail);
}

/** A reason as the database and our own clients can take it, whatever the provider wrote. */
export function resultOf({ type, data: { reason } }: WebhookDto): PaymentResult {
  if (type === 'payment.succeeded') return { status: 'SUCCEEDED' };
  const text = Array.from((reason ?? '').toWellFormed().replaceAll('\0', ' ').trim())
    .slice(0, 400)
    .join('');
  return { status: 'FAILED', reason: text || 'declined' };
}

function invalid(pointer: string, detail: string): ProblemException {
  return new ProblemException({
    code: 'validation',
    status: 400,
    title: 'The request is not valid.',
    detail: `${pointer}: ${detail}.`,
    members: { errors: [{ pointer, detail }] },
  });
}
