import { Module } from '@nestjs/common';
import { UnitOfWorkModule } from '../idempotency/unit-of-work.module.js';
import { DeadJobsController } from './dead-jobs.controller.js';
import { DeadLettersController } from './dead-letters.controller.js';
import { OverviewController } from './overview.controller.js';

/** Serves the administration of messaging under `/admin/messaging`. Needs `MessagingModule`, and what `UnitOfWorkModule` needs. */
@Module({ imports: [UnitOfWorkModule], controllers: [OverviewController, DeadLettersController, DeadJobsController] })
export class AdminModule {}
