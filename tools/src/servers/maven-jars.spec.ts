import { downloadProgress } from './maven-jars.js';

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
