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

/// The direction of most variance of rows, by powers of their covariance.
fn first_direction(rows: &[Vec<f64>]) -> Vec<f64> {
    let mut direction = vec![1.0; WIDTH];
    for _ in 0..3000 {
        let mut next = [0.0; WIDTH];
        for row in rows {
            let along: f64 = row.iter().zip(&direction).map(|(v, d)| v * d).sum();
            next.iter_mut().zip(row).for_each(|(n, v)| *n += along * v);
        }
        let length = next.iter().map(|v| v * v).sum::<f64>().sqrt();
        direction = next.iter().map(|v| v / length).collect();
    }
    direction
}

fn less_mean(rows: &mut [Vec<f64>]) {
    for c in 0..WIDTH {
        let mean = rows.iter().map(|row| row[c]).sum::<f64>() / rows.len() as f64;
        rows.iter_mut().for_each(|row| row[c] -= mean);
    }
}

/// Rows along the direction in which the teacher's sentences differ most, which are in the middle of the sentences' means.
#[test]
fn components_are_those_of_the_teachers_sentences() {
    let problem = problem(60);
    let fitted = |recipe: Recipe, steps: usize| {
        let options = FitOptions { steps, ..FitOptions::default() };
        fit(&problem.sentences, &problem.targets, &problem.tokens, &recipe, &options).unwrap()
    };
    let rows = fitted(recipe(4), 60);
    assert_eq!((rows.len(), rows.width()), (TOKENS, 4));
    let with: Vec<usize> = (0..60).filter(|at| !problem.sentences.get(*at).unwrap().is_empty()).collect();
    let mut targets: Vec<Vec<f64>> = with
        .iter()
        .map(|at| problem.targets.row(*at).unwrap().iter().map(|v| f64::from(*v)).collect())
        .collect();
    less_mean(&mut targets);
    for row in &mut targets {
        let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter_mut().for_each(|v| *v /= length);
    }
    less_mean(&mut targets);
    let direction = first_direction(&targets);
    let solution = dense(&problem, 0.03);
    let along: Vec<f64> =
        solution.chunks(WIDTH).map(|row| row.iter().zip(&direction).map(|(a, b)| a * b).sum()).collect();
    let middle = with
        .iter()
        .map(|at| {
            let ids = problem.sentences.get(*at).unwrap();
            ids.iter().map(|id| along[*id as usize]).sum::<f64>() / ids.len() as f64
        })
        .sum::<f64>()
        / with.len() as f64;
    let largest =
        along.iter().map(|v| v - middle).fold(0.0f64, |most, v| if v.abs() > most.abs() { v } else { most });
    for (got, want) in rows.iter().zip(&along) {
        let want = (want - middle) * largest.signum();
        assert!((f64::from(got[0]) - want).abs() < 1e-4 * largest.abs(), "{} instead of {want}", got[0]);
    }
    // The first of four are the first of two, one step is less near, and of scaled columns only the size is another one.
    assert_eq!(fitted(recipe(2), 60).row(7).unwrap(), &rows.row(7).unwrap()[..2]);
    assert!((fitted(recipe(4), 1).row(7).unwrap()[0] - rows.row(7).unwrap()[0]).abs() > 1e-3);
    let scaled = fitted(Recipe { scaling: Scaling::QuarterRoot, ..recipe(4) }, 60);
    let ratio = |row: usize, c: usize| scaled.row(row).unwrap()[c] / rows.row(row).unwrap()[c];
    assert!((0..4).all(|c| (ratio(1, c) / ratio(2, c) - 1.0).abs() < 1e-4));
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
