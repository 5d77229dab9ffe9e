import { pullProgress } from './kafka-in-docker.js';

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
