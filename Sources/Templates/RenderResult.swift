/// What became of one template.
public enum RenderResult: Sendable {
  case rendered(Rendering)
  /// The template's text cannot be used; an older version may be.
  case unusable(String)
  /// It asked for what has to be fetched first: it is to be rendered again.
  case postponed
  /// It failed for this client.
  case failed(RenderFailure)
}

/// A rendered template, and what it was made from.
public struct Rendering: Sendable {
  public let output: [UInt8]
  /// What the template asked, in order; nil where nothing was recorded.
  public let questions: [TemplateValue]?
  /// Files that it read below the repository, with what told their versions apart; empty where one was not there.
  public let files: [(path: String, signature: String)]
  /// Why the result is not to be used again; empty where it is.
  public let reasons: [String]
}

/// Why a template failed.
public struct RenderFailure: Error, Sendable, CustomStringConvertible {
  public let description: String
  /// It raised Genshi's TemplateError, on purpose or because it is wrong.
  public var isTemplateError = false
  /// Python lacks a library.
  public var isMissingLibrary = false
  /// The output is larger than it may be.
  public var isTooLarge = false
  /// There is no renderer: nothing is known of the template.
  public var isWithoutRenderer = false

  public init(
    _ description: String, isTemplateError: Bool = false, isMissingLibrary: Bool = false, isTooLarge: Bool = false
  ) {
    self.description = description
    self.isTemplateError = isTemplateError
    self.isMissingLibrary = isMissingLibrary
    self.isTooLarge = isTooLarge
  }
}

extension RenderResult {
  /// What a renderer says of one template; nil where it makes no sense.
  init?(_ value: TemplateValue) {
    guard let isRendered = value["ok"]?.bool else { return nil }
    guard isRendered else {
      if value["later"]?.bool == true {
        self = .postponed
        return
      }
      guard let error = value["error"]?.text else { return nil }
      self =
        value["load"]?.bool == true
        ? .unusable(error)
        : .failed(
          RenderFailure(
            error, isTemplateError: value["is_template_error"]?.bool ?? false,
            isMissingLibrary: value["missing"]?.bool ?? false, isTooLarge: value["too_large"]?.bool ?? false))
      return
    }
    guard let output = value["output"]?.contents else { return nil }
    let files = (value["files"]?.list ?? []).compactMap { item -> (path: String, signature: String)? in
      guard let parts = item.list, parts.count == 2, let path = parts[0].text, let signature = parts[1].text else {
        return nil
      }
      return (path, signature)
    }
    self = .rendered(
      Rendering(
        output: output, questions: value["questions"]?.list, files: files, reasons: value["reasons"]?.texts ?? []))
  }

  /// Files that it depends on.
  var files: [(path: String, signature: String)] {
    switch self {
    case .rendered(let rendering): rendering.files
    case .unusable, .postponed, .failed: []
    }
  }

  /// Bytes of the output; 0 where there is none.
  var outputBytes: Int {
    switch self {
    case .rendered(let rendering): rendering.output.count
    case .unusable, .postponed, .failed: 0
    }
  }
}
