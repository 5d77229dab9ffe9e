import type { NestFastifyApplication } from '@nestjs/platform-fastify';

/** A path with routes, in the router's notation: `/orders/:orderId`. */
export interface RoutedPath {
  readonly pattern: string;
  readonly methods: readonly string[];
}

/** Returns every path with a route, including documentation, health and metrics. */
export function routedPaths(app: NestFastifyApplication): RoutedPath[] {
  const paths: RoutedPath[] = [];
  const parents: string[] = [];
  // One line per path, indented below the path that it continues: `│   └── /:orderId (GET, HEAD)`.
  for (const line of app.getHttpAdapter().getInstance().printRoutes({ commonPrefix: false }).split('\n')) {
    const [, indent = '', part, methods = ''] = /^((?:│ {3}| {4})*)[├└]── (\S+)(?: \((.*)\))?/.exec(line) ?? [];
    if (part === undefined) continue;
    const depth = indent.length / 4;
    const pattern = (parents[depth - 1] ?? '') + part.replace('(empty', '').split('|')[0];
    parents.length = depth;
    parents.push(pattern);
    if (methods !== '') paths.push({ pattern, methods: methods.split(', ') });
  }
  return paths;
}
