import { Module } from '@nestjs/common';
import { UnitOfWorkModule } from '../idempotency/unit-of-work.module.js';
import { AggregatesController } from './aggregates.controller.js';
import { AuditController } from './audit.controller.js';
import { DeadJobsController } from './dead-jobs.controller.js';
import { DeadLettersController } from './dead-letters.controller.js';
import { IncidentsController } from './incidents.controller.js';
import { OperationsController } from './operations.controller.js';
import { OverviewController } from './overview.controller.js';
import { ParkedController } from './parked.controller.js';
import { PausesController } from './pauses.controller.js';

/** Serves the administration of messaging under `/admin/messaging`. Needs `MessagingModule`, and what `UnitOfWorkModule` needs. */
@Module({
  imports: [UnitOfWorkModule],
  controllers: [
    OverviewController,
    DeadLettersController,
    DeadJobsController,
    ParkedController,
    AggregatesController,
    OperationsController,
    PausesController,
    IncidentsController,
    AuditController,
  ],
})
export class AdminModule {}
