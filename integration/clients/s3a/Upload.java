import java.net.URI;
import java.nio.file.Path;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.apache.ApacheHttpClient;
import software.amazon.awssdk.services.s3.S3Client;

/** Uploads a file with one PutObject, whose chunks the SDK for Java signs where there is no TLS. */
public final class Upload {
  public static void main(String[] args) {
    try (S3Client s3 =
        S3Client.builder()
            .endpointOverride(URI.create(System.getenv("AWS_ENDPOINT_URL")))
            .forcePathStyle(true)
            .httpClient(ApacheHttpClient.create())
            .build()) {
      s3.putObject(r -> r.bucket("jobs").key(args[1]), RequestBody.fromFile(Path.of(args[0])));
    }
  }
}
