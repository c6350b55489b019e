// Answers HTTP as the JDK does it: Server PORT [HOST]
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

public final class Server {
    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(arguments[0]);
        var address = arguments.length > 1 ? new InetSocketAddress(arguments[1], port) : new InetSocketAddress(port);
        var server = HttpServer.create(address, 0);
        server.createContext("/", exchange -> {
            byte[] text = "hello".getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, text.length);
            try (var body = exchange.getResponseBody()) {
                body.write(text);
            }
        });
        server.start();
    }
}
