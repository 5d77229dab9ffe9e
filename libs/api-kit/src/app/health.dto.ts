import { ApiProperty, ApiServiceUnavailableResponse } from '@nestjs/swagger';

export class HealthStatusDto {
  @ApiProperty({ enum: ['ok', 'degraded', 'error', 'shutting_down'], example: 'ok' })
  readonly status!: string;
}

export class HealthDto extends HealthStatusDto {
  @ApiProperty({
    type: Object,
    description: 'The components that are up or degraded.',
    example: { database: { status: 'up' } },
  })
  readonly info!: object;

  @ApiProperty({ type: Object, description: 'The components that are down.', example: {} })
  readonly error!: object;

  @ApiProperty({ type: Object, description: 'All components.', example: { database: { status: 'up' } } })
  readonly details!: object;
}

const down = (name: string) => ({
  status: 'error',
  info: {},
  error: { [name]: { status: 'down' } },
  details: { [name]: { status: 'down' } },
});

/** Documents the 503 of a check that requires the component. */
export const UnavailableResponse = (name: string) =>
  ApiServiceUnavailableResponse({
    type: HealthDto,
    description: 'A component that this check requires is down.',
    example: down(name),
  });

/** Documents the 503 of a check that shows the status only. */
export const UnavailableStatus = () =>
  ApiServiceUnavailableResponse({
    type: HealthStatusDto,
    description: 'A component that this check requires is down.',
    example: { status: 'error' },
  });
