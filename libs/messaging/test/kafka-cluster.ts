import { type KafkaCluster, KafkaLeaders, startKafkaCluster } from '@twinbox/tools/kafka-cluster';

export { type KafkaCluster, KafkaLeaders, startKafkaCluster };
