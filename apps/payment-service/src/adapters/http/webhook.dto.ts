import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { InCapitals, IsId, IsWholeNumber, MayBeAbsentOrNull } from '@twinbox/api-kit';
import { Type } from 'class-transformer';
import { IsIn, IsObject, IsString, Matches, ValidateNested } from 'class-validator';

export const WEBHOOK_TYPES = ['payment.succeeded', 'payment.failed'] as const;

class WebhookDataDto {
  @ApiProperty({ format: 'uuid', example: '01939d3c-3b1e-7a52-8f01-1c2d3e4f5a6b' })
  @IsId()
  readonly paymentRequestId!: string;

  @ApiPropertyOptional({
    example: 'card declined',
    description: 'Why the payment failed. Only the first 500 characters are kept.',
  })
  @MayBeAbsentOrNull()
  @IsString()
  readonly reason?: string;

  @ApiPropertyOptional({
    type: 'integer',
    nullable: true,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    example: 1780,
    description:
      'The amount of the payment, in minor units. If it differs from that of the payment request, nothing changes.',
  })
  @MayBeAbsentOrNull()
  @IsWholeNumber(0, Number.MAX_SAFE_INTEGER)
  readonly amount?: number;

  @ApiPropertyOptional({
    type: String,
    nullable: true,
    pattern: '^[A-Za-z]{3}$',
    example: 'EUR',
    description:
      'ISO 4217, in upper or lower case. If it differs from the currency of the payment request, nothing changes.',
  })
  @MayBeAbsentOrNull()
  @InCapitals()
  @Matches(/^[A-Za-z]{3}$/, { message: 'currency must be a three-letter code' })
  readonly currency?: string;
}

/** Unlike our own clients, the provider may send fields that are unknown here, and null for what it does not know. */
export class WebhookDto {
  @ApiProperty({ enum: WEBHOOK_TYPES, example: 'payment.succeeded', description: 'What happened.' })
  @IsIn(WEBHOOK_TYPES)
  readonly type!: (typeof WEBHOOK_TYPES)[number];

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
      '`applied`: the payment changed. `passed-over`: it did not change, and its timeline says why. `repeated`: this webhook-id was ' +
      'already processed. `ignored`: this service does not use events of this type.',
  })
  readonly outcome!: (typeof OUTCOMES)[number];
}
