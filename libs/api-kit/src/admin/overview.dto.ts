import { ApiProperty } from '@nestjs/swagger';
import {
  type ConsumerOverview,
  type GroupOverview,
  type LatestFailure,
  type MessagingOverview,
  type OverviewProblem,
  type PauseNote,
  type QueueOverview,
  type RelayOverview,
  type Waiting,
} from '@twinbox/messaging';
import { AT, count, timeOrNull } from './admin-fields.js';

const rate = (description: string) => ApiProperty({ type: 'number', minimum: 0, example: 20.5, description });

class PauseNoteDto implements PauseNote {
  @ApiProperty({ format: 'date-time', example: AT })
  readonly since!: Date;

  @ApiProperty({ example: 'root' })
  readonly actor!: string;

  @ApiProperty({ type: String, nullable: true, example: 'The mail server is being replaced.' })
  readonly reason!: string | null;
}

const paused = () =>
  ApiProperty({ type: PauseNoteDto, nullable: true, description: 'Who has paused it; null while it is not paused.' });

class WaitingDto implements Waiting {
  @count(3)
  readonly messages!: number;

  @ApiProperty({ type: 'number', example: 1.25, description: 'The age of the oldest one.' })
  readonly oldestSeconds!: number;
}

class UnpublishedDto {
  @ApiProperty({ type: WaitingDto, description: 'The relay publishes them next.' })
  readonly ready!: WaitingDto;

  @ApiProperty({ type: WaitingDto, description: 'They wait behind a dead letter of their key.' })
  readonly held!: WaitingDto;

  @ApiProperty({ type: WaitingDto, description: 'Kafka rejected them, and the relay tries again.' })
  readonly blocked!: WaitingDto;
}

export class RelayOverviewDto implements RelayOverview {
  @ApiProperty({
    enum: ['leading', 'none'],
    example: 'leading',
    description: '`leading`: a process has the lease. `none`: no process has it, so nothing is published.',
  })
  readonly state!: 'leading' | 'none';

  @ApiProperty({
    type: String,
    nullable: true,
    example: '3f0c9d1e-5a55-4f0c-9f5b-2a3a8f0f0a11',
    description: 'The process that has or had the lease last. Its id changes with every start.',
  })
  readonly holder!: string | null;

  @timeOrNull('When the lease ends, or ended, unless it is renewed; null if its last holder released it.')
  readonly leasedUntil!: Date | null;

  @ApiProperty({ example: '17', description: 'Grows whenever another process becomes the leader.' })
  readonly fencingToken!: string;

  @paused()
  readonly paused!: PauseNoteDto | null;

  @ApiProperty({
    type: UnpublishedDto,
    description: 'Messages that wait to be published. Beyond 100,000 their number is approximate.',
  })
  readonly unpublished!: UnpublishedDto;

  @count(0, 'Positions that transactions have taken and not committed yet.')
  readonly gaps!: number;

  @count(0)
  readonly deadLetters!: number;

  @rate('Messages written within the last minute and published, per second. Measured over at most the last 10,000.')
  readonly publishedPerSecond!: number;
}

class PartitionLagDto {
  @count(0)
  readonly partition!: number;

  @count(12)
  readonly lag!: number;
}

class GroupOverviewDto implements GroupOverview {
  @count(12, 'Messages that the group has not committed yet.')
  readonly lag!: number;

  @count(0, 'Those of them whose timestamps are more than 30 s old.')
  readonly overdue!: number;

  @ApiProperty({ type: [PartitionLagDto] })
  readonly partitions!: readonly PartitionLagDto[];

  @ApiProperty({ example: 'Stable', description: "Kafka's name of the group's state." })
  readonly state!: string;

  @count(2)
  readonly members!: number;
}

class LatestFailureDto implements LatestFailure {
  @timeOrNull('Null if that is not known.')
  readonly at!: Date | null;

  @ApiProperty({ example: 'Error: the gateway is away', description: 'The first 500 characters of the error.' })
  readonly error!: string;
}

const latestFailure = (description: string) => ApiProperty({ type: LatestFailureDto, nullable: true, description });

export class ConsumerOverviewDto implements ConsumerOverview {
  @ApiProperty({ example: 'payment-service', description: 'The consumer group.' })
  readonly consumer!: string;

  @ApiProperty({ example: 'order.events' })
  readonly topic!: string;

  @paused()
  readonly paused!: PauseNoteDto | null;

  @ApiProperty({ type: GroupOverviewDto, nullable: true, description: 'Null while Kafka does not answer.' })
  readonly group!: GroupOverviewDto | null;

  @count(1, 'Messages that processes have taken and not settled yet.')
  readonly inFlight!: number;

  @timeOrNull('Since when the oldest of them is in flight.')
  readonly inFlightSince!: Date | null;

  @count(0, 'Messages that wait for their next attempt or behind another message of their key, at most 100,000.')
  readonly parked!: number;

  @ApiProperty({ type: 'number', example: 0 })
  readonly oldestParkedSeconds!: number;

  @latestFailure('Of its messages that wait for another attempt; null if none of them has failed.')
  readonly latestFailure!: LatestFailureDto | null;

  @count(0)
  readonly deadLetters!: number;

  @rate('Messages processed within the last minute, per second. Measured over at most the last 10,000.')
  readonly processedPerSecond!: number;
}

export class QueueOverviewDto implements QueueOverview {
  @ApiProperty({ example: 'notifications' })
  readonly queue!: string;

  @paused()
  readonly paused!: PauseNoteDto | null;

  @count(0, 'Jobs that could run now. This and the other counts are at most 100,000.')
  readonly due!: number;

  @timeOrNull('When the oldest of them became due.')
  readonly dueSince!: Date | null;

  @count(1, 'Jobs that a process has leased.')
  readonly running!: number;

  @count(2, 'Jobs that wait for another attempt after a failed one.')
  readonly retrying!: number;

  @latestFailure('Of its jobs that wait for another attempt, or are running again; null if none of them has failed.')
  readonly latestFailure!: LatestFailureDto | null;

  @count(0, 'Jobs for a later time that have not been attempted.')
  readonly scheduled!: number;

  @count(0)
  readonly dead!: number;
}

export class OverviewProblemDto implements OverviewProblem {
  @ApiProperty({
    enum: ['failing', 'attention', 'paused'],
    example: 'attention',
    description:
      '`failing`: work does not proceed. `attention`: work proceeds, and something waits for an operator. `paused`: an operator has ' +
      'paused it.',
  })
  readonly severity!: 'failing' | 'attention' | 'paused';

  @ApiProperty({
    example: 'inbox payment-service',
    description: '`relay`, `kafka`, `outbox`, `incidents`, `operations`, `inbox <consumer>` or `queue <queue>`.',
  })
  readonly component!: string;

  @ApiProperty({ example: '1 dead letter waits for an operator.' })
  readonly problem!: string;

  @timeOrNull('Null if that is not known.')
  readonly since!: Date | null;
}

export class MessagingOverviewDto implements MessagingOverview {
  @ApiProperty({ format: 'date-time', example: AT })
  readonly at!: Date;

  @ApiProperty({ type: RelayOverviewDto })
  readonly relay!: RelayOverviewDto;

  @ApiProperty({ type: [ConsumerOverviewDto] })
  readonly consumers!: readonly ConsumerOverviewDto[];

  @ApiProperty({ type: [QueueOverviewDto] })
  readonly queues!: readonly QueueOverviewDto[];

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'Connection timeout',
    description: 'Why the parts that Kafka knows are missing; null if they are not.',
  })
  readonly kafkaProblem!: string | null;

  @ApiProperty({ type: [OverviewProblemDto], description: 'What needs an operator; empty if nothing does.' })
  readonly problems!: readonly OverviewProblemDto[];
}
