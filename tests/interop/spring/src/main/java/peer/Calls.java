package peer;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.kafka.support.TopicPartitionOffset;
import org.springframework.kafka.support.serializer.DelegatingByTypeSerializer;
import org.springframework.kafka.support.serializer.JacksonJsonDeserializer;
import org.springframework.kafka.support.serializer.JacksonJsonSerializer;

/** Asks the handlers of kafka-rpc, as requesters of Spring do. */
final class Calls implements AutoCloseable {

    /** By their names in questions. */
    private final Map<String, ReplyingKafkaTemplate<String, Object, Object>> templates;

    private final String prefix;

    Calls(String brokers, String prefix) throws InterruptedException {
        this.prefix = prefix;
        String replies = prefix + "orders-responses";
        templates = Map.of(
                // As a member of a group, which reads the whole topic.
                "grouped", template(brokers, "grouped", new ContainerProperties(replies), new JacksonJsonSerializer<>()),
                // On a partition of its own, which its requests name.
                "assigned", template(brokers, "assigned",
                        new ContainerProperties(new TopicPartitionOffset(replies, 2)), new JacksonJsonSerializer<>()),
                // With text where others have bytes: the correlation id and the values.
                "text", template(brokers, "text", new ContainerProperties(prefix + "texts-responses"),
                        new DelegatingByTypeSerializer(Map.of(String.class, new StringSerializer()))));
        templates.get("text").setBinaryCorrelation(false);
        for (var template : templates.values()) {
            template.start();
            template.waitForAssignment(Duration.ofMinutes(1));
        }
    }

    private ReplyingKafkaTemplate<String, Object, Object> template(String brokers, String name,
            ContainerProperties replies, Serializer<Object> values) {
        Map<String, Object> producing = Map.of(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        replies.setGroupId(prefix + name);
        Map<String, Object> consuming = Map.of(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        // Only Spring says in a header which class a value is of.
        var consumers = new DefaultKafkaConsumerFactory<String, Object>(consuming, new StringDeserializer(),
                new JacksonJsonDeserializer<>(Object.class, false));
        var template = new ReplyingKafkaTemplate<>(
                new DefaultKafkaProducerFactory<>(producing, new StringSerializer(), values),
                new KafkaMessageListenerContainer<>(consumers, replies));
        template.setDefaultReplyTimeout(Duration.ofSeconds(30));
        template.setSharedReplyTopic(true);
        template.setReplyErrorChecker(reply -> {
            Header message = reply.headers().lastHeader(KafkaHeaders.EXCEPTION_MESSAGE);
            return message == null ? null : new Refused(reply, message);
        });
        return template;
    }

    /** Asks, or tells where no template is named for the reply. */
    Map<String, Object> answer(Question question) throws InterruptedException {
        Map<String, Object> line = new HashMap<>(Map.of("id", question.id()));
        var record = new ProducerRecord<>(prefix + question.topic(), question.key(), question.value());
        try {
            if (question.template() == null) {
                templates.get("grouped").send(record).get();
                line.put("result", Map.of());
                return line;
            }
            ConsumerRecord<String, Object> reply = templates.get(question.template()).sendAndReceive(record).get();
            Map<String, Object> result = new HashMap<>(Map.of("partition", reply.partition()));
            result.put("key", reply.key());
            result.put("value", reply.value());
            line.put("result", result);
        }
        catch (ExecutionException failed) {
            line.put("error", failed.getCause() instanceof Refused refused ? refused.parts() : failed.toString());
        }
        return line;
    }

    @Override
    public void close() {
        for (var template : templates.values()) {
            template.stop();
            template.destroy();
        }
    }

    /** What the other side refused, and why. */
    private static final class Refused extends Exception {

        private final String name;

        private final String whole;

        Refused(ConsumerRecord<?, ?> reply, Header message) {
            super(text(message));
            name = text(reply.headers().lastHeader(KafkaHeaders.EXCEPTION_FQCN));
            whole = text(reply.headers().lastHeader("rpc-error"));
        }

        Map<String, Object> parts() {
            return Map.of("name", name, "message", getMessage(), "whole", whole);
        }

        private static String text(Header header) {
            return new String(header.value(), StandardCharsets.UTF_8);
        }
    }
}
