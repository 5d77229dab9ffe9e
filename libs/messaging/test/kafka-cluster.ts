import { type KafkaCluster, KafkaLeaders, startKafkaCluster } from '@twinbox/tools/kafka-cluster';

export { type KafkaCluster, KafkaLeaders, startKafkaCluster };

const { TEST_KAFKA_JARS: jars, GITHUB_ACTIONS: isWorkflow } = process.env;

/** Whether a cluster can be started: it needs Java and Kafka's jars. The CI workflow has them, so nothing may be skipped there. */
export const hasKafkaJars = jars !== undefined || isWorkflow !== undefined;
