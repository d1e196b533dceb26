\set id random(1, 50)
UPDATE pages SET visits = visits + 1 WHERE id = :id;
