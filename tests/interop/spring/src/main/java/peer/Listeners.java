package peer;

import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.listener.KafkaListenerErrorHandler;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.kafka.support.KafkaNull;
import org.springframework.kafka.support.converter.ByteArrayJacksonJsonMessageConverter;
import org.springframework.kafka.support.serializer.JacksonJsonSerializer;
import org.springframework.messaging.handler.annotation.Header;
import org.springframework.messaging.handler.annotation.Payload;
import org.springframework.messaging.handler.annotation.SendTo;
import org.springframework.messaging.support.MessageBuilder;
import org.springframework.util.backoff.FixedBackOff;

/** What kafka-rpc calls. */
@Configuration
@EnableKafka
public class Listeners {

    @Value("${brokers}")
    private String brokers;

    @Value("${prefix}")
    private String prefix;

    @KafkaListener(topics = "${prefix}spring.order", groupId = "${prefix}spring-order")
    @SendTo
    public Map<String, Object> order(Order order,
            @Header(name = KafkaHeaders.RECEIVED_KEY, required = false) String key,
            @Header(name = "x-tenant", required = false) String tenant) {
        Map<String, Object> reply = new HashMap<>(Map.of("account", order.account(), "number", order.number()));
        reply.put("key", key);
        reply.put("tenant", tenant);
        return reply;
    }

    @KafkaListener(topics = "${prefix}spring.greet", groupId = "${prefix}spring-greet")
    @SendTo
    public String greet(String name) {
        return "hello " + name;
    }

    /** Both ways with the serializers for text, which are the default of Spring Boot. */
    @KafkaListener(topics = "${prefix}spring.text", groupId = "${prefix}spring-text", containerFactory = "texts")
    @SendTo
    public String text(String text) {
        return "got " + text;
    }

    @KafkaListener(topics = "${prefix}spring.fail", groupId = "${prefix}spring-fail", errorHandler = "inHeaders")
    @SendTo
    public Order fail(Order order) {
        throw new IllegalStateException("the shop is closed");
    }

    @KafkaListener(topics = "${prefix}spring.refuse", groupId = "${prefix}spring-refuse", errorHandler = "withStatus")
    @SendTo
    public Order refuse(Order order) {
        throw new IllegalStateException("taken");
    }

    /** Answers nobody. */
    @KafkaListener(topics = "${prefix}spring.noted", groupId = "${prefix}spring-noted")
    public void noted(Order order, @Header(name = KafkaHeaders.RECEIVED_KEY, required = false) String key) {
        Map<String, Object> line = new HashMap<>(Map.of("event", order));
        line.put("key", key);
        Peer.print(line);
    }

    /** Fails, so that its recoverer writes a dead letter. */
    @KafkaListener(topics = "${prefix}spring.dead", groupId = "${prefix}spring-dead")
    public void dead(Order order) {
        throw new IllegalStateException("never");
    }

    /** The dead letters of kafka-rpc, read as those of Spring are. */
    @KafkaListener(topics = "${prefix}orders.dlq", groupId = "${prefix}spring-undertaker")
    public void letter(@Payload Order order,
            @Header(KafkaHeaders.DLT_ORIGINAL_TOPIC) String topic,
            @Header(KafkaHeaders.DLT_ORIGINAL_PARTITION) byte[] partition,
            @Header(KafkaHeaders.DLT_ORIGINAL_OFFSET) byte[] offset,
            @Header(KafkaHeaders.DLT_ORIGINAL_TIMESTAMP) byte[] timestamp,
            @Header(KafkaHeaders.DLT_ORIGINAL_TIMESTAMP_TYPE) String type,
            @Header(KafkaHeaders.DLT_ORIGINAL_CONSUMER_GROUP) String group,
            @Header(KafkaHeaders.DLT_EXCEPTION_FQCN) String name,
            @Header(KafkaHeaders.DLT_EXCEPTION_MESSAGE) String message,
            @Header(KafkaHeaders.DLT_EXCEPTION_STACKTRACE) String stacktrace) {
        Map<String, Object> line = new HashMap<>(Map.of("letter", order));
        line.put("topic", topic);
        line.put("partition", ByteBuffer.wrap(partition).getInt());
        line.put("offset", ByteBuffer.wrap(offset).getLong());
        line.put("timestamp", ByteBuffer.wrap(timestamp).getLong());
        line.put("type", type);
        line.put("group", group);
        line.put("name", name);
        line.put("message", message);
        line.put("stacktrace", stacktrace);
        Peer.print(line);
    }

    @Bean
    public ConcurrentKafkaListenerContainerFactory<String, byte[]> kafkaListenerContainerFactory() {
        var factory = new ConcurrentKafkaListenerContainerFactory<String, byte[]>();
        factory.setConsumerFactory(new DefaultKafkaConsumerFactory<>(consuming(), new StringDeserializer(),
                new ByteArrayDeserializer()));
        factory.setRecordMessageConverter(new ByteArrayJacksonJsonMessageConverter());
        factory.setReplyTemplate(replies());
        var recoverer = new DeadLetterPublishingRecoverer(letters(),
                (record, exception) -> new TopicPartition(prefix + "dead-orders.dlq", 0));
        factory.setCommonErrorHandler(new DefaultErrorHandler(recoverer, new FixedBackOff(0, 0)));
        return factory;
    }

    @Bean
    public ConcurrentKafkaListenerContainerFactory<String, String> texts() {
        var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
        factory.setConsumerFactory(new DefaultKafkaConsumerFactory<>(consuming(), new StringDeserializer(),
                new StringDeserializer()));
        factory.setReplyTemplate(new KafkaTemplate<>(new DefaultKafkaProducerFactory<>(producing(),
                new StringSerializer(), new StringSerializer())));
        return factory;
    }

    @Bean
    public KafkaTemplate<String, Object> replies() {
        return new KafkaTemplate<>(new DefaultKafkaProducerFactory<>(producing(), new StringSerializer(),
                new JacksonJsonSerializer<>()));
    }

    @Bean
    public KafkaTemplate<String, byte[]> letters() {
        return new KafkaTemplate<>(new DefaultKafkaProducerFactory<>(producing(), new StringSerializer(),
                new ByteArraySerializer()));
    }

    /** Says an error in the headers that Spring has for one. */
    @Bean
    public KafkaListenerErrorHandler inHeaders() {
        return (message, failed) -> MessageBuilder.withPayload(KafkaNull.INSTANCE)
                .setHeader(KafkaHeaders.EXCEPTION_FQCN, failed.getCause().getClass().getName())
                .setHeader(KafkaHeaders.EXCEPTION_MESSAGE, failed.getCause().getMessage())
                .build();
    }

    /** Says an error with everything that kafka-rpc knows of one. */
    @Bean
    public KafkaListenerErrorHandler withStatus() {
        return (message, failed) -> MessageBuilder.withPayload(KafkaNull.INSTANCE)
                .setHeader("rpc-error", "{\"statusCode\":409,\"error\":\"Conflict\",\"message\":\""
                        + failed.getCause().getMessage() + "\"}")
                .build();
    }

    private Map<String, Object> consuming() {
        return Map.of(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    }

    private Map<String, Object> producing() {
        return Map.of(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    }
}
