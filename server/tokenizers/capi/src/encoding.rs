//! Text to token ids, with truncation chosen call by call.
//!
//! The library keeps the truncation length inside the tokenizer, so that one tokenizer could not serve two lengths at once. Here its three stages are run apart: tokens
//! of each text, truncation, special tokens; the functions are the library's own, so the ids are too.

use tokenizers::{
    truncate_encodings, Encoding, PostProcessor, PostProcessorWrapper, Tokenizer, TruncationDirection, TruncationParams,
    TruncationStrategy,
};

/// Why the input cannot be used, for people.
#[derive(Debug)]
pub struct Failure(pub String);

impl From<tokenizers::Error> for Failure {
    fn from(error: tokenizers::Error) -> Self {
        Failure(error.to_string())
    }
}

pub struct Tokens {
    pub ids: Box<[i32]>,
    pub type_ids: Box<[i32]>,
    pub truncated: bool,
}

pub struct TextTokenizer {
    /// Without post-processor, truncation and padding.
    core: Tokenizer,
    post_processor: Option<PostProcessorWrapper>,
    direction: TruncationDirection,
    vocabulary_size: i32,
}

impl TextTokenizer {
    pub fn from_json(json: &[u8]) -> Result<Self, Failure> {
        let mut core = Tokenizer::from_bytes(json)?;
        let direction = core.get_truncation().map(|t| t.direction).unwrap_or_default();
        core.with_truncation(None)?;
        core.with_padding(None);
        let post_processor = core.get_post_processor().cloned();
        core.with_post_processor(None::<PostProcessorWrapper>);
        let largest = core.get_vocab(true).into_values().max().unwrap_or(0);
        let mut tokenizer = TextTokenizer { core, post_processor, direction, vocabulary_size: 0 };
        let largest = largest.max(tokenizer.largest_special_id()?);
        if largest >= i32::MAX as u32 {
            return Err(Failure(format!("token id {largest} does not fit in 31 bits")));
        }
        tokenizer.vocabulary_size = largest as i32 + 1;
        Ok(tokenizer)
    }

    pub fn vocabulary_size(&self) -> i32 {
        self.vocabulary_size
    }

    pub fn set_truncate_left(&mut self, left: bool) {
        self.direction = if left { TruncationDirection::Left } else { TruncationDirection::Right };
    }

    pub fn encode(&self, text: &[u8], pair: Option<&[u8]>, max_length: usize) -> Result<Tokens, Failure> {
        let text = utf8(text, "text")?;
        let pair = pair.map(|p| utf8(p, "second text")).transpose()?;
        let (encoding, truncated) = self.encode_texts(text, pair, max_length)?;
        // In range: from_json checked the largest id.
        Ok(Tokens {
            ids: encoding.get_ids().iter().map(|&id| id as i32).collect(),
            type_ids: encoding.get_type_ids().iter().map(|&id| id as i32).collect(),
            truncated,
        })
    }

    fn encode_texts(&self, text: &str, pair: Option<&str>, max_length: usize) -> Result<(Encoding, bool), Failure> {
        let mut first = self.core.encode_fast(text, false)?;
        let mut second = pair.map(|p| self.core.encode_fast(p, false)).transpose()?;
        if let Some(encoding) = second.as_mut() {
            encoding.set_type_ids(vec![1; encoding.len()]);
        }
        let mut truncated = false;
        if max_length > 0 {
            let special = self.post_processor.as_ref().map_or(0, |p| p.added_tokens(pair.is_some()));
            let Some(room) = max_length.checked_sub(special) else {
                return Err(Failure(format!(
                    "max_length {max_length} has no room for the {special} special tokens: use a larger one"
                )));
            };
            let before = first.len() + second.as_ref().map_or(0, Encoding::len);
            let params =
                TruncationParams { max_length: room, strategy: TruncationStrategy::LongestFirst, stride: 0, direction: self.direction };
            (first, second) = truncate_encodings(first, second, &params)?;
            truncated = before > room;
            // What was cut off would otherwise be post-processed too, in every combination.
            first.take_overflowing();
            second.as_mut().map(Encoding::take_overflowing);
        }
        let encoding = match &self.post_processor {
            Some(processor) => processor.process(first, second, true)?,
            None => {
                if let Some(second) = second {
                    first.merge_with(second, false);
                }
                first
            }
        };
        Ok((encoding, truncated))
    }

    /// Special tokens come from the post-processor's own table, which need not agree with the vocabulary. Encodes what every tokenizer must be able to
    /// encode, which also finds a missing unknown token while the file is loaded and not in the middle of a dataset.
    fn largest_special_id(&self) -> Result<u32, Failure> {
        let mut largest = 0;
        // A cuneiform sign is in next to no vocabulary, and normalizers leave it alone.
        for (text, pair) in [("", None), ("", Some("")), ("a \u{12031}", Some("b"))] {
            let (encoding, _) = self.encode_texts(text, pair, 0)?;
            largest = encoding.get_ids().iter().copied().fold(largest, u32::max);
        }
        Ok(largest)
    }
}

fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, Failure> {
    std::str::from_utf8(bytes).map_err(|e| Failure(format!("the {what} is not UTF-8: byte {} is wrong", e.valid_up_to())))
}
