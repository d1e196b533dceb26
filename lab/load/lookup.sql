\set id random(1, 19000)
SELECT sum(total) FROM orders WHERE id BETWEEN :id AND :id + 500;
