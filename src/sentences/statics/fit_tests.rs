use super::*;
use crate::rng::Stream;
use crate::sentences::statics::{Scaling, Weights};

const TOKENS: usize = 12;
const WIDTH: usize = 19;

struct Problem {
    sentences: Sentences,
    targets: Rows,
    tokens: Rows,
}

/// Token 5 is in no sentence, and the fourth sentence has no tokens.
fn problem(count: usize) -> Problem {
    let mut stream = Stream::new(11, "fit");
    let mut rows = |rows: usize| {
        let values = (0..rows * WIDTH).map(|_| (stream.normal() + 0.3) as f32).collect();
        Rows::new(WIDTH, values).unwrap()
    };
    let (tokens, targets) = (rows(TOKENS), rows(count));
    let mut sentences = Sentences::default();
    for at in 0..count {
        let ids: Vec<u32> = (0..1 + stream.below(6)).map(|_| stream.below(TOKENS) as u32).collect();
        sentences.push(ids.into_iter().filter(|id| *id != 5 && at != 3));
    }
    Problem { sentences, targets, tokens }
}

fn recipe(dims: usize) -> Recipe {
    Recipe { scaling: Scaling::None, weights: Weights::Zipf { a: 0.1 }, dims }
}

/// Solves `matrix` (n, n) x = `right` (n, columns) by elimination.
fn solved(n: usize, mut matrix: Vec<f64>, mut right: Vec<f64>, columns: usize) -> Vec<f64> {
    for k in 0..n {
        for i in (0..n).filter(|i| *i != k) {
            let factor = matrix[i * n + k] / matrix[k * n + k];
            (0..n).for_each(|j| matrix[i * n + j] -= factor * matrix[k * n + j]);
            (0..columns).for_each(|j| right[i * columns + j] -= factor * right[k * columns + j]);
        }
    }
    (0..n * columns).map(|at| right[at] / matrix[at / columns * (n + 1)]).collect()
}

/// E by the normal equations, densely: (A^T A + lambda) E = A^T T + lambda E0.
fn dense(problem: &Problem, lambda: f64) -> Vec<f64> {
    let Problem { sentences, targets, tokens } = problem;
    let mean = mean(WIDTH, tokens.values());
    let sum: f64 = (0..TOKENS).map(|row| 1.0 / (row as f64 + 2.0)).sum();
    let weight = |row: usize| 0.1 / (0.1 + 1.0 / (row as f64 + 2.0) / sum);
    let start: Vec<f64> = (0..TOKENS * WIDTH)
        .map(|at| (f64::from(tokens.values()[at]) - mean[at % WIDTH]) * weight(at / WIDTH))
        .collect();
    let with: Vec<usize> =
        (0..sentences.len()).filter(|at| !sentences.get(*at).unwrap().is_empty()).collect();
    let matrix = |at: usize, token: usize| {
        let ids = sentences.get(at).unwrap();
        ids.iter().filter(|id| **id as usize == token).count() as f64 / ids.len() as f64
    };
    let length = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>().sqrt();
    let sentence_mean = |at: usize| -> Vec<f64> {
        (0..WIDTH).map(|c| (0..TOKENS).map(|t| matrix(at, t) * start[t * WIDTH + c]).sum()).collect()
    };
    let c = with.iter().map(|at| length(&sentence_mean(*at))).sum::<f64>() / with.len() as f64;
    let centre: Vec<f64> = (0..WIDTH)
        .map(|c| {
            with.iter().map(|at| f64::from(targets.row(*at).unwrap()[c])).sum::<f64>() / with.len() as f64
        })
        .collect();
    let target = |at: usize| -> Vec<f64> {
        let row: Vec<f64> =
            targets.row(at).unwrap().iter().zip(&centre).map(|(v, m)| f64::from(*v) - m).collect();
        row.iter().map(|v| v * c / length(&row)).collect()
    };
    let mut left = vec![0.0; TOKENS * TOKENS];
    let mut right: Vec<f64> = start.iter().map(|v| v * lambda).collect();
    for token in 0..TOKENS {
        left[token * TOKENS + token] += lambda;
        for at in &with {
            for other in 0..TOKENS {
                left[token * TOKENS + other] += matrix(*at, token) * matrix(*at, other);
            }
            let target = target(*at);
            (0..WIDTH).for_each(|c| right[token * WIDTH + c] += matrix(*at, token) * target[c]);
        }
    }
    solved(TOKENS, left, right, WIDTH)
}

fn distance<T: Copy + Into<f64>>(rows: &[T], width: usize, a: usize, b: usize) -> f64 {
    (0..width).map(|c| (rows[a * width + c].into() - rows[b * width + c].into()).powi(2)).sum()
}

/// All components of rows keep their distances.
#[test]
fn rows_solve_the_normal_equations() {
    let problem = problem(60);
    for lambda in [0.03, 1.0] {
        let options = FitOptions { lambda, steps: 60 };
        let got =
            fit(&problem.sentences, &problem.targets, &problem.tokens, &recipe(WIDTH), &options).unwrap();
        let want = dense(&problem, lambda);
        for (a, b) in (0..TOKENS).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let (got, want) = (distance(got.values(), WIDTH, a, b), distance(&want, WIDTH, a, b));
            assert!((got - want).abs() < 1e-4 * want, "lambda {lambda}, rows {a} and {b}: {got}, not {want}");
        }
    }
}

/// Fewer steps are less near, and components are those of sentences: uncorrelated there, of falling variance.
#[test]
fn components_are_those_of_the_sentences() {
    let problem = problem(60);
    let rows = fit(&problem.sentences, &problem.targets, &problem.tokens, &recipe(4), &FitOptions::default())
        .unwrap();
    assert_eq!((rows.len(), rows.width()), (TOKENS, 4));
    let counts = problem.sentences.counts(TOKENS).unwrap();
    let bag = Bag::new(&problem.sentences, &counts);
    assert_eq!(
        (bag.len(), bag.tokens().len()),
        (problem.sentences.iter().filter(|ids| !ids.is_empty()).count(), 11)
    );
    let means = bag.means(4, rows.values());
    let products = |a: usize, b: usize| -> f64 {
        means.chunks_exact(4).map(|row| f64::from(row[a]) * f64::from(row[b])).sum()
    };
    for (a, b) in [(0, 1), (0, 2), (1, 2), (2, 3)] {
        assert!(products(a, a) > products(b, b), "{a} {b}");
        assert!(products(a, b).abs() < 1e-4 * products(a, a), "{a} {b}");
    }
    let scaled = Recipe { scaling: Scaling::QuarterRoot, ..recipe(4) };
    let scaled =
        fit(&problem.sentences, &problem.targets, &problem.tokens, &scaled, &FitOptions::default()).unwrap();
    // Of each column only the size is another one, and variances lie nearer together.
    let ratio = |c: usize| scaled.values()[c] / rows.values()[c];
    assert!(
        (scaled.values()[4] / rows.values()[4] - ratio(0)).abs() < 1e-5 * ratio(0) && ratio(1) > ratio(0)
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let Problem { sentences, targets, tokens } = problem(30);
    let message = |sentences: &Sentences, targets: &Rows, recipe: &Recipe, options: &FitOptions| {
        fit(sentences, targets, &tokens, recipe, options).unwrap_err().to_string()
    };
    let options = FitOptions::default();
    let few = Rows::new(WIDTH, targets.values()[..WIDTH * 29].to_vec()).unwrap();
    assert!(
        message(&sentences, &few, &recipe(4), &options).contains("for each of 30 sentences, got (29, 19)")
    );
    let narrow = Rows::new(1, vec![1.0; 30]).unwrap();
    assert!(message(&sentences, &narrow, &recipe(4), &options).contains("vector of 19 numbers"));
    assert!(message(&sentences, &targets, &recipe(20), &options).contains("1 to the 19 numbers"));
    let mut foreign = sentences.clone();
    foreign.push([TOKENS as u32]);
    let more = Rows::new(WIDTH, [targets.values(), &[0.0; WIDTH]].concat()).unwrap();
    assert!(message(&foreign, &more, &recipe(4), &options).contains("has token 12, and there are 12"));
    for (lambda, steps, part) in [(0.0, 3, "lambda"), (f64::NAN, 3, "lambda"), (1.0, 0, "steps")] {
        assert!(message(&sentences, &targets, &recipe(4), &FitOptions { lambda, steps }).starts_with(part));
    }
    let mut two = Sentences::default();
    (0..30).for_each(|at| two.push((at < 2).then_some(1)));
    assert!(message(&two, &targets, &recipe(2), &options).contains("more than the 2 components, got 2"));
    two = Sentences::default();
    (0..30).for_each(|_| two.push([]));
    assert!(message(&two, &targets, &recipe(2), &options).contains("got 0"));
}
