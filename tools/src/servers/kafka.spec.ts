import { downloadProgress, pullProgress } from './kafka.js';

it("adds up the sizes in Maven's output and reports every five megabytes", () => {
  const reports: number[] = [];
  const read = downloadProgress((mb) => reports.push(mb));

  for (const line of [
    '[INFO] Downloading from central: https://repo.example/kafka_2.13-4.3.0.pom',
    '[INFO] Downloaded from central: https://repo.example/kafka_2.13-4.3.0.pom (900 kB at 1.2 MB/s)',
    '[INFO] Downloaded from central: https://repo.example/a.jar (4.2 MB at 8.3 MB/s)',
    '[INFO] Downloaded from central: https://repo.example/b.jar (0 B at 0 B/s)',
    '[INFO] Downloaded from central: https://repo.example/c.jar (3.8 MB at 8.3 MB/s)',
    '[INFO] Downloaded from central: https://repo.example/d.jar (12 MB at 8.3 MB/s)',
  ])
    read(line);

  expect(reports).toEqual([5, 20]);
});

it('counts the completed layers of an image, including those that existed already', () => {
  const reports: string[] = [];
  const read = pullProgress((done, all) => reports.push(`${done}/${all}`));

  for (const line of [
    '4.3.0: Pulling from apache/kafka',
    '0123456789ab: Already exists',
    '1123456789ab: Pulling fs layer',
    '2123456789ab: Pulling fs layer',
    '1123456789ab: Verifying Checksum',
    '1123456789ab: Pull complete',
    '1123456789ab: Pull complete',
    '2123456789ab: Pull complete',
    'Digest: sha256:0123',
  ])
    read(line);

  expect(reports).toEqual(['1/1', '2/3', '3/3']);
});
