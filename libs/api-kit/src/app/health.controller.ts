import { Controller, Get, Header, HttpException, Optional, Res } from '@nestjs/common';
import { ApiExtension, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  type HealthCheckResult,
  HealthCheckService,
  HealthIndicatorService,
  TypeOrmHealthIndicator,
} from '@nestjs/terminus';
import type { FastifyReply } from 'fastify';
import { DataSource } from 'typeorm';
import { Public } from '../http/caller-guard.js';
import { WITHOUT_DATABASE_EXTENSION } from '../http/openapi/route-extensions.js';
import { RETRY_AFTER } from '../http/common-problems.js';
import { ForOperators, OnBothPorts } from '../http/management.js';
import { IgnoreQuery } from '../http/query-guard.js';
import { TokenKeys } from '../identity/token-keys.js';
import { HealthDto, HealthStatusDto, UnavailableResponse, UnavailableStatus } from './health.dto.js';

/** Reports the health of messaging: the overall result, each relay and consumer by name, and other details to show with them. */
export abstract class MessagingProbe {
  abstract check(): {
    healthy: boolean;
    components: Record<string, { healthy: boolean; [detail: string]: unknown }>;
  };
}

/** How long the database may take to answer a ping before it is considered down. */
const DATABASE_PING_MS = 1500;
/** Anyone may ask for the readiness, so requests share a ping. A flood of them must not take the pool. */
const REUSE_PING_MS = 1000;

/** The health checks: those for orchestrators show the status only, those for operators show all details. */
@ApiTags('health')
@IgnoreQuery()
@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly database: TypeOrmHealthIndicator,
    private readonly dataSource: DataSource,
    private readonly messaging: MessagingProbe,
    @Optional() private readonly keys?: TokenKeys,
  ) {}

  @Get()
  @ForOperators()
  @Header('Cache-Control', 'no-store')
  @ApiOperation({
    operationId: 'getHealth',
    summary: 'Overall health: 503 while the database, messaging or the keys of access tokens are down',
  })
  @ApiOkResponse({ type: HealthDto })
  @UnavailableResponse('database')
  async all(@Res({ passthrough: true }) reply: FastifyReply) {
    return await this.answer(
      reply,
      () => this.pingDatabase(),
      ...this.tokenKeys(),
      () => this.messagingOr('down'),
    );
  }

  @Get('live')
  @Public()
  @OnBothPorts()
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getLiveness', summary: 'Liveness: 200 as long as the process runs' })
  @ApiExtension(WITHOUT_DATABASE_EXTENSION, true)
  @ApiOkResponse({ type: HealthStatusDto })
  live(): HealthStatusDto {
    return { status: 'ok' };
  }

  @Get('ready')
  @Public()
  @OnBothPorts()
  @Header('Cache-Control', 'no-store')
  @ApiOperation({
    operationId: 'getReadiness',
    summary: 'Readiness: 503 while the database is down, or no keys of access tokens have been loaded',
    description:
      'If messaging is down, the status is `degraded` with 200, because the service can still accept requests.',
  })
  @ApiOkResponse({ type: HealthStatusDto })
  @UnavailableStatus()
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<HealthStatusDto> {
    const { status } = await this.answer(
      reply,
      () => this.pingDatabase(),
      ...this.tokenKeys(),
      () => this.messagingOr('degraded'),
    );
    return { status };
  }

  /** Whether {@link ready} would answer with 200. Never throws. */
  async isReady(): Promise<boolean> {
    try {
      await this.health.check([() => this.pingDatabase(), ...this.tokenKeys()]);
      return true;
    } catch {
      return false;
    }
  }

  @Get('messaging')
  @ForOperators()
  @Header('Cache-Control', 'no-store')
  @ApiOperation({
    operationId: 'getMessagingHealth',
    summary: 'Messaging health: 503 while a relay or a consumer has work but makes no progress',
  })
  @ApiOkResponse({ type: HealthDto })
  @UnavailableResponse('messaging')
  async messages(@Res({ passthrough: true }) reply: FastifyReply) {
    return await this.answer(reply, () => this.messagingOr('down'));
  }

  private pingDatabase() {
    const options = { connection: this.dataSource, timeout: DATABASE_PING_MS };
    return this.database.pingCheck('database', options).cacheFor(REUSE_PING_MS);
  }

  /** Only with AUTH_MODE=jwt. Without keys no caller can be identified, so the replica must not get requests. */
  private tokenKeys() {
    const { keys } = this;
    if (!keys) return [];
    return [
      () => {
        const { status, ...details } = keys.check();
        const indicator = this.indicators.check('tokenKeys');
        if (status === 'up') return indicator.up(details);
        return status === 'degraded' ? indicator.degraded(details) : indicator.down(details);
      },
    ];
  }

  private messagingOr(unhealthy: 'degraded' | 'down') {
    const { healthy, ...details } = this.messaging.check();
    const indicator = this.indicators.check('messaging');
    if (healthy) return indicator.up(details);
    return unhealthy === 'down' ? indicator.down(details) : indicator.degraded(details);
  }

  // terminus throws an exception if a check fails, and the ProblemFilter would turn that into a problem document.
  private async answer(reply: FastifyReply, ...indicators: Parameters<HealthCheckService['check']>[0]) {
    try {
      return await this.health.check(indicators);
    } catch (error) {
      if (!(error instanceof HttpException) || error.getStatus() !== 503) throw error;
      reply.status(503).headers(RETRY_AFTER);
      return error.getResponse() as HealthCheckResult;
    }
  }
}
