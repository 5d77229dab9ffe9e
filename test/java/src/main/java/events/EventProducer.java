package events;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Produces messages as the document describes them. */
final class EventProducer implements AutoCloseable {
  private final KafkaProducer<String, String> producer;

  EventProducer(String brokers) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", brokers);
    producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
  }

  /** Sends the message's example with other fields, waits for the acknowledgement and returns its id. */
  String send(String topic, Contract.Message message, JsonNode fields) throws Exception {
    JsonNode data = message.data(fields);
    String key = message.keyOf(data);
    List<String> problems = message.problems(key, data);
    if (!problems.isEmpty()) throw new IllegalArgumentException(message.name + " violates its contract: " + problems);
    String id = UUID.randomUUID().toString();
    ProducerRecord<String, String> record = new ProducerRecord<>(topic, key, data.toString());
    for (Map.Entry<String, JsonNode> header : message.headerSchemas.properties()) {
      JsonNode schema = header.getValue();
      JsonNode value = schema.has("const") ? schema.get("const") : schema.at("/examples/0");
      String text = header.getKey().equals("ce_id") ? id : value.asText();
      record.headers().add(header.getKey(), text.getBytes(StandardCharsets.UTF_8));
    }
    producer.send(record).get();
    return id;
  }

  @Override
  public void close() {
    producer.close();
  }
}
