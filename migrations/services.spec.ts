import { readdir, readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { passwordVariable, SERVICES, TOPICS } from './services.js';

const read = (file: string) => readFile(new URL(`../${file}`, import.meta.url), 'utf8');
const readJson = async (file: string) => JSON.parse(await read(file));

interface Container {
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly depends_on?: Readonly<Record<string, object>>;
}

async function containers(): Promise<Readonly<Record<string, Container>>> {
  return parse(await read('docker-compose.yml'), { merge: true }).services;
}

const byName = <T>(value: (service: (typeof SERVICES)[number]) => T) =>
  Object.fromEntries(SERVICES.map((service) => [service.name, value(service)]));

/** The programs in apps that are not services. */
const OTHERS = ['cli', 'console'];
const CONSOLE_PORT = 8080;

/** A variable of docker-compose.yml with its default. */
const variable = (name: string, value: string | number) => `\${${name}:-${value}}`;

it('every service has its folder in apps and in the migrations', async () => {
  const [apps, schemas] = await Promise.all([
    readdir(new URL('../apps', import.meta.url)),
    readdir(new URL('.', import.meta.url), { withFileTypes: true }),
  ]);

  expect(apps.toSorted()).toEqual([...SERVICES.map(({ name }) => name), ...OTHERS].toSorted());
  const folders = schemas.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(folders).toEqual(expect.arrayContaining(SERVICES.map(({ schema }) => schema)));
  for (const { name } of SERVICES)
    expect(await readJson(`apps/${name}/package.json`)).toHaveProperty('name', `@twinbox/${name}`);
});

it('docker-compose.yml runs the services, each with its ports, role and consumer group', async () => {
  const ours = Object.entries(await containers()).filter(([, { command }]) =>
    command?.some((part) => /^apps\/.+\/dist\/main\.js$/.test(part)),
  );

  expect(Object.fromEntries(ours)).toEqual(
    byName(({ name, schema, prefix, port, grpcPort }) =>
      expect.objectContaining({
        command: ['node', '--import', '@twinbox/api-kit/telemetry', `apps/${name}/dist/main.js`],
        ports: [
          `127.0.0.1:${variable(`${prefix}_PORT`, port)}:${port}`,
          `127.0.0.1:${variable(`${prefix}_GRPC_PORT`, grpcPort)}:${grpcPort}`,
        ],
        environment: expect.objectContaining({
          PORT: port,
          GRPC_PORT: grpcPort,
          DATABASE_URL: `postgres://${schema}:${variable(passwordVariable(schema), schema)}@postgres:5432/twinbox`,
          CONSUMER_GROUP: variable(`${prefix}_CONSUMER_GROUP`, name),
          ALLOWED_HOSTS: `${SERVICES.map((service) => service.name).join(',')},\${ALLOWED_HOSTS:-}`,
        }),
      }),
    ),
  );
});

it('docker-compose.yml gives the migrations every password, and the demo the URL of every service that it calls', async () => {
  const { migrate, demo } = await containers();

  for (const { name, schema, prefix, port, isInDemo } of SERVICES) {
    expect(migrate?.environment).toHaveProperty(passwordVariable(schema), variable(passwordVariable(schema), schema));
    if (!isInDemo) continue;
    expect(demo?.environment).toHaveProperty(`${prefix}_URL`, `http://${name}:${port}`);
    expect(demo?.depends_on).toHaveProperty(name);
  }
});

it('docker-compose.yml passes the names and partitions of all topics to the services and to what creates them', async () => {
  const all = await containers();
  const variables = TOPICS.flatMap((topic) => [`${topic}_TOPIC`, `${topic}_PARTITIONS`]);

  for (const name of ['migrate', ...SERVICES.map((service) => service.name)])
    expect(Object.keys(all[name]?.environment ?? {})).toEqual(expect.arrayContaining(variables));
});

it('the image exposes the ports of the services', async () => {
  const ports = [...SERVICES.map(({ port }) => port), ...SERVICES.map(({ grpcPort }) => grpcPort)];
  expect(await read('Dockerfile')).toContain(`\nEXPOSE ${[CONSOLE_PORT, ...ports].join(' ')}\n`);
});

it('nest-cli.json has every service as a project', async () => {
  const { projects } = await readJson('nest-cli.json');

  expect(projects).toEqual(
    byName(({ name }) => ({
      type: 'application',
      root: `apps/${name}`,
      entryFile: 'main',
      sourceRoot: `apps/${name}/src`,
      compilerOptions: { tsConfigPath: `apps/${name}/tsconfig.build.json` },
    })),
  );
});

it('tsconfig.build.json builds every service', async () => {
  const { references } = (await readJson('tsconfig.build.json')) as { references: { path: string }[] };
  const apps = references.map(({ path }) => path).filter((path) => path.startsWith('./apps/'));

  const names = [...SERVICES.map(({ name }) => name), ...OTHERS];
  expect(apps.toSorted()).toEqual(names.map((name) => `./apps/${name}/tsconfig.build.json`).toSorted());
});
