import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Produces messages of the test event `Counted` with Kafka's own client: `Produce.java <brokers> <topic>`. Prints each message
 * that a consumer must read on a line: partition, key and value, separated by tabs.
 */
public class Produce {
  private static final int MESSAGES = 80;
  private static final Random RANDOM = new Random(7);
  private static String brokers;
  private static String topic;

  public static void main(String[] arguments) throws Exception {
    brokers = arguments[0];
    topic = arguments[1];
    produce(0, Map.of("compression.type", "gzip"));
    produce(1, Map.of("compression.type", "snappy"));
    produce(2, Map.of("compression.type", "lz4"));
    produce(2, Map.of("compression.type", "lz4", "compression.lz4.level", 17));
    produce(3, Map.of("compression.type", "zstd"));
    produce(3, Map.of("compression.type", "zstd", "compression.zstd.level", 22));
    produceTransactions(3);
  }

  /** Sends all messages in one batch, which is larger than a block of any codec. */
  private static void produce(int partition, Map<String, Object> compression) {
    try (KafkaProducer<String, String> producer = producer(compression)) {
      for (int n = 0; n < MESSAGES; n++) send(producer, partition, n, true);
    }
  }

  private static void produceTransactions(int partition) {
    Map<String, Object> settings = Map.of("compression.type", "zstd", "transactional.id", topic);
    try (KafkaProducer<String, String> producer = producer(settings)) {
      producer.initTransactions();
      producer.beginTransaction();
      send(producer, partition, 1000, false);
      // Without this, the aborted message would never be sent.
      producer.flush();
      producer.abortTransaction();
      producer.beginTransaction();
      send(producer, partition, 1001, true);
      producer.commitTransaction();
    }
  }

  private static KafkaProducer<String, String> producer(Map<String, Object> settings) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", brokers);
    properties.put("batch.size", 900_000);
    properties.put("linger.ms", 10_000);
    properties.putAll(settings);
    return new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
  }

  private static void send(KafkaProducer<String, String> producer, int partition, int n, boolean isRead) {
    byte[] noise = new byte[3000];
    RANDOM.nextBytes(noise);
    String text = n % 2 == 0 ? Base64.getEncoder().encodeToString(noise) : "again and ".repeat(300);
    String key = "key " + n % 10;
    String value = "{\"n\":" + n + ",\"text\":\"" + text + "\"}";
    ProducerRecord<String, String> record = new ProducerRecord<>(topic, partition, key, value);
    Map<String, String> headers =
        Map.of("ce_specversion", "1.0", "ce_id", UUID.randomUUID().toString(), "ce_type", "Counted", "ce_source", "/java");
    headers.forEach((name, header) -> record.headers().add(name, header.getBytes(StandardCharsets.UTF_8)));
    producer.send(record);
    if (isRead) System.out.println(partition + "\t" + key + "\t" + value);
  }
}
