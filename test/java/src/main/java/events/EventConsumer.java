package events;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Reads topics from their beginning, and compares every record with the document. */
final class EventConsumer implements Runnable {
  private final String brokers;
  private final Map<String, Contract.Channel> channels;
  private final Consumer<ObjectNode> report;

  EventConsumer(String brokers, Map<String, Contract.Channel> channels, Consumer<ObjectNode> report) {
    this.brokers = brokers;
    this.channels = channels;
    this.report = report;
  }

  @Override
  public void run() {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", brokers);
    try (KafkaConsumer<String, String> consumer =
        new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
      List<TopicPartition> partitions = new ArrayList<>();
      channels.forEach((topic, channel) -> {
        int found = consumer.partitionsFor(topic).size();
        if (found != channel.partitions) throw new IllegalStateException(topic + " has " + found + " partitions");
        for (int n = 0; n < found; n++) partitions.add(new TopicPartition(topic, n));
      });
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      while (true)
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) report.accept(checked(record));
    }
  }

  private ObjectNode checked(ConsumerRecord<String, String> record) {
    ObjectNode headers = Contract.JSON.createObjectNode();
    for (Header header : record.headers()) headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8));
    ObjectNode read = Contract.JSON.createObjectNode();
    read.put("topic", record.topic()).put("key", record.key()).set("headers", headers);
    Contract.Message message = channels.get(record.topic()).messageWith(headers);
    List<String> problems = new ArrayList<>();
    if (message == null) {
      problems.add("headers: the channel has no such message");
    } else {
      read.put("message", message.name);
      try {
        JsonNode data = Contract.JSON.readTree(record.value());
        read.set("data", data);
        problems.addAll(message.problems(record.key(), data));
      } catch (JsonProcessingException error) {
        problems.add("value: it is not JSON");
      }
    }
    return read.set("problems", Contract.JSON.valueToTree(problems));
  }
}
