import Support
import Testing

@testable import InstanceTags

/// Seeds of the fuzz targets, and every input that once trapped.
@Suite struct CorpusTests {
  @Test func answersSayWhatTheirNamesSay() throws {
    for (name, bytes) in try Corpus.files("instance-answer") {
      let page = try? DescribeInstances.page(bytes)
      let tags = [InstanceTag("Name", "web & db"), InstanceTag("group", "")]
      switch name {
      case "tags": #expect(page == .tags(tags))
      case "nobody": #expect(page == .tags(nil))
      case "more": #expect(page == .more(token: "abc"))
      case "failure":
        #expect(DescribeInstances.failure(bytes) == .init(code: "RequestLimitExceeded", message: "Request limit"))
      case "role": #expect(InstanceCredentials(bytes)?.credentials.accessKey == "ASIA" && page == nil)
      case "endpoint":
        #expect(ServiceEndpoint(String(decoding: bytes, as: UTF8.self))?.host == "ec2.us-east-1.amazonaws.com")
      default: break
      }
    }
  }

  /// The first byte is the kind.
  @Test func messagesAreReadTheSameAfterWriting() throws {
    let headBytes = 16
    for (name, bytes) in try Corpus.files("tag-message") {
      let payload = bytes.dropFirst()
      if name.hasPrefix("settings") {
        let settings = try TagMessages.settings(payload)
        #expect(try TagMessages.settings(TagMessages.frame(settings).dropFirst(headBytes)) == settings, "\(name)")
      } else if let answer = try? TagMessages.answer(bytes[0], payload) {
        #expect(
          try TagMessages.answer(bytes[0], TagMessages.frame(answer, to: 1).dropFirst(headBytes)) == answer, "\(name)")
      } else {
        #expect(name == "count")
      }
    }
  }
}
