import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads a number of messages of a topic from its beginning with Kafka's own client, which verifies the checksum of each batch:
 * `Consume.java <brokers> <topic> <partitions> <messages>`. Prints each message on a line: key, timestamp, headers in their order
 * and value, separated by tabs.
 */
public class Consume {
  public static void main(String[] arguments) {
    List<TopicPartition> partitions =
        IntStream.range(0, Integer.parseInt(arguments[2])).mapToObj(n -> new TopicPartition(arguments[1], n)).toList();
    try (KafkaConsumer<String, String> consumer = consumer(arguments[0])) {
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      for (int left = Integer.parseInt(arguments[3]); left > 0; )
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
          print(record);
          left--;
        }
    }
  }

  private static KafkaConsumer<String, String> consumer(String brokers) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", brokers);
    properties.put("check.crcs", true);
    return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
  }

  private static void print(ConsumerRecord<String, String> record) {
    String headers =
        StreamSupport.stream(record.headers().spliterator(), false)
            .map(header -> header.key() + "=" + new String(header.value(), StandardCharsets.UTF_8))
            .collect(Collectors.joining(";"));
    System.out.println(String.join("\t", record.key(), String.valueOf(record.timestamp()), headers, record.value()));
  }
}
